//! Turns .wast files (WebAssembly's test suite) into one JSON text on standard output: what `../suite.ts` reads.
//! Arguments: FILE.wast or folders of them. See ../README.md.
use std::fmt::Write as _;
use std::{
    collections::{HashMap, HashSet},
    env, fs,
    path::PathBuf,
};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

fn main() {
    let mut files: Vec<PathBuf> = Vec::new();
    for argument in env::args().skip(1) {
        let path = PathBuf::from(argument);
        if path.is_dir() {
            let mut inner: Vec<_> = fs::read_dir(&path)
                .unwrap()
                .map(|e| e.unwrap().path())
                .collect();
            inner.sort();
            files.extend(inner);
        } else {
            files.push(path);
        }
    }
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        if !seen.insert(text.clone()) {
            continue;
        }
        let name = format!(
            "{}/{}",
            path.parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap(),
            path.file_stem().unwrap().to_str().unwrap()
        );
        match convert(&text) {
            Ok(commands) if commands.is_empty() => {}
            Ok(commands) => out.push(format!(
                "{{\"name\":{},\"commands\":[\n{}\n]}}",
                quote(&name),
                commands.join(",\n")
            )),
            Err(error) => eprintln!("{name}: {}", error.to_string().lines().next().unwrap_or("")),
        }
    }
    println!("[{}]", out.join(",\n"));
}

fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if c == '"' || c == '\\' || (c as u32) < 0x20 || c as u32 == 0x2028 || c as u32 == 0x2029 {
            write!(out, "\\u{:04x}", c as u32).unwrap();
        } else {
            out.push(c);
        }
    }
    out.push('"');
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("\"");
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(char::from(
                    ALPHABET[(word >> (18 - 6 * place)) as usize & 63],
                ));
            } else {
                out.push('=');
            }
        }
    }
    out.push('"');
    out
}

fn name(id: Option<Id>) -> String {
    id.map_or("null".into(), |id| quote(id.name()))
}

/// A module whose functions make calls that JavaScript cannot: those with vectors. Filled while its target is current.
struct Driver {
    place: usize,
    imports: String,
    functions: String,
    count: usize,
}

struct File {
    /// What functions of these names give back, where that is a vector: of those that trap it is not written down.
    vectors: HashMap<String, Vec<&'static str>>,
    commands: Vec<String>,
    drivers: Vec<Driver>,
    /// The driver of each module that has a name.
    targets: Vec<(String, usize)>,
    current: usize,
}

fn convert(text: &str) -> Result<Vec<String>, wast::Error> {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    let wast: Wast = parser::parse(&buffer)?;
    let mut file = File {
        vectors: vector_results(&wast.directives),
        commands: vec![],
        drivers: vec![],
        targets: vec![],
        current: usize::MAX,
    };
    for directive in wast.directives {
        file.directive(directive);
    }
    for driver in &file.drivers {
        if driver.count > 0 {
            let text = format!(
                "(module {} (memory (export \"out\") 1) {})",
                driver.imports, driver.functions
            );
            let buffer = ParseBuffer::new(&text).unwrap();
            let mut module: Wat = parser::parse(&buffer).unwrap();
            file.commands[driver.place] =
                format!("[\"driver\",{}]", base64(&module.encode().unwrap()));
        }
    }
    file.commands.retain(|command| !command.is_empty());
    // A file with nothing but modules that are no modules says nothing here.
    Ok(file.commands)
}

impl File {
    fn module(&mut self, command: String, id: Option<String>) {
        self.commands.push(command);
        self.current = self.drivers.len();
        if let Some(id) = id {
            self.targets.push((id, self.current));
        }
        self.drivers.push(Driver {
            place: self.commands.len(),
            imports: String::new(),
            functions: String::new(),
            count: 0,
        });
        self.commands.push(String::new());
    }

    fn directive(&mut self, directive: WastDirective) {
        match directive {
            WastDirective::Module(mut wat) => {
                let id = wat.name().map(|id| id.name().to_string());
                if let Ok(wasm) = wat.encode() {
                    let command = format!(
                        "[\"module\",{},{}]",
                        id.as_deref().map_or("null".into(), quote),
                        base64(&wasm)
                    );
                    self.module(command, id);
                }
            }
            WastDirective::ModuleDefinition(mut wat) => {
                let id = wat.name().map(|id| id.name().to_string());
                if let Ok(wasm) = wat.encode() {
                    self.commands.push(format!(
                        "[\"definition\",{},{}]",
                        id.as_deref().map_or("null".into(), quote),
                        base64(&wasm)
                    ));
                }
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let command = format!("[\"instance\",{},{}]", name(instance), name(module));
                self.module(command, instance.map(|id| id.name().to_string()));
            }
            WastDirective::Register {
                name: as_name,
                module,
                ..
            } => {
                self.commands.push(format!(
                    "[\"register\",{},{}]",
                    quote(as_name),
                    name(module)
                ));
            }
            WastDirective::Invoke(call) => self.invoke("return", &call, &[]),
            WastDirective::AssertReturn { exec, results, .. } => {
                self.execute("return", exec, &results)
            }
            WastDirective::AssertTrap { exec, .. } => self.execute("trap", exec, &[]),
            WastDirective::AssertException { exec, .. } => self.execute("exception", exec, &[]),
            WastDirective::AssertExhaustion { call, .. } => self.invoke("exhaustion", &call, &[]),
            WastDirective::AssertUnlinkable { mut module, .. } => {
                if let Ok(wasm) = module.encode() {
                    self.commands
                        .push(format!("[\"unlinkable\",{}]", base64(&wasm)));
                }
            }
            WastDirective::AssertMalformed { mut module, .. }
            | WastDirective::AssertInvalid { mut module, .. } => {
                // Text that is malformed has no binary.
                if let Ok(wasm) = module.encode() {
                    self.commands
                        .push(format!("[\"invalid\",{}]", base64(&wasm)));
                }
            }
            _ => {}
        }
    }

    fn execute(&mut self, expected: &str, execute: WastExecute, results: &[WastRet]) {
        match execute {
            WastExecute::Invoke(call) => self.invoke(expected, &call, results),
            WastExecute::Wat(mut wat) => {
                if let Ok(wasm) = wat.encode() {
                    self.commands
                        .push(format!("[\"trapping\",{}]", base64(&wasm)));
                }
            }
            WastExecute::Get { module, global, .. } => {
                self.commands
                    .push(format!("[\"get\",{},{}]", name(module), quote(global)));
            }
        }
    }

    fn invoke(&mut self, expected: &str, call: &WastInvoke, results: &[WastRet]) {
        let arguments: Vec<&WastArgCore> = call.args.iter().map(core_argument).collect();
        let results: Vec<&WastRetCore> = results.iter().map(core_result).collect();
        let vectors = arguments.iter().any(|a| matches!(a, WastArgCore::V128(_)))
            || results.iter().any(|r| result_type(r) == Some("v128"))
            || self.vectors.contains_key(call.name);
        if vectors {
            let types = match expected {
                "return" => results.iter().map(|result| result_type(result)).collect(),
                _ => self.vectors.get(call.name).cloned(),
            };
            self.drive(expected, call, &arguments, types);
            return;
        }
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| quote(&plain(argument)))
            .collect();
        self.commands.push(format!(
            "[\"invoke\",\"{expected}\",{},{},[{}]]",
            name(call.module),
            quote(call.name),
            arguments.join(",")
        ));
    }

    /// A call in the target's driver: the results' bits go to its memory, 16 bytes each.
    fn drive(
        &mut self,
        expected: &str,
        call: &WastInvoke,
        arguments: &[&WastArgCore],
        types: Option<Vec<&str>>,
    ) {
        let target = match call.module {
            None => Some(self.current),
            Some(id) => self
                .targets
                .iter()
                .rev()
                .find(|(known, _)| known == id.name())
                .map(|(_, at)| *at),
        };
        let constants: Option<Vec<(&str, String)>> = arguments
            .iter()
            .map(|argument| constant(argument))
            .collect();
        let (Some(target), Some(types), Some(constants)) = (target, types, constants) else {
            return;
        };
        let Some(driver) = self.drivers.get_mut(target) else {
            return;
        };
        let params: Vec<&str> = constants.iter().map(|(kind, _)| *kind).collect();
        let import = format!(
            "(import \"target\" {} (func (param {}) (result {})))",
            wat_string(call.name),
            params.join(" "),
            types.join(" ")
        );
        let callee = match driver.imports.split('\n').position(|line| line == import) {
            Some(index) => index,
            None => {
                if !driver.imports.is_empty() {
                    driver.imports.push('\n');
                }
                driver.imports.push_str(&import);
                driver.imports.split('\n').count() - 1
            }
        };
        let mut body = String::new();
        for kind in &types {
            write!(body, " (local {kind})").unwrap();
        }
        for (_, text) in &constants {
            write!(body, " {text}").unwrap();
        }
        write!(body, " call {callee}").unwrap();
        for at in (0..types.len()).rev() {
            write!(body, " local.set {at}").unwrap();
        }
        for (at, kind) in types.iter().enumerate() {
            write!(body, " i32.const {} local.get {at} {kind}.store", at * 16).unwrap();
        }
        write!(
            driver.functions,
            "(func (export \"{}\"){body})\n",
            driver.count
        )
        .unwrap();
        self.commands.push(format!(
            "[\"drive\",\"{expected}\",{target},{},{}]",
            driver.count,
            types.len()
        ));
        driver.count += 1;
    }
}

fn vector_results(directives: &[WastDirective]) -> HashMap<String, Vec<&'static str>> {
    let mut found = HashMap::new();
    for directive in directives {
        let WastDirective::AssertReturn {
            exec: WastExecute::Invoke(call),
            results,
            ..
        } = directive
        else {
            continue;
        };
        let types: Option<Vec<&'static str>> = results
            .iter()
            .map(|result| result_type(core_result(result)))
            .collect();
        if let Some(types) = types.filter(|types| types.contains(&"v128")) {
            found.insert(call.name.to_string(), types);
        }
    }
    found
}

fn core_argument<'a, 'b>(argument: &'b WastArg<'a>) -> &'b WastArgCore<'a> {
    match argument {
        WastArg::Core(core) => core,
        #[allow(unreachable_patterns)]
        _ => panic!("an argument of a component"),
    }
}

fn core_result<'a, 'b>(result: &'b WastRet<'a>) -> &'b WastRetCore<'a> {
    match result {
        WastRet::Core(core) => core,
        #[allow(unreachable_patterns)]
        _ => panic!("a result of a component"),
    }
}

fn plain(argument: &WastArgCore) -> String {
    match argument {
        WastArgCore::I32(value) => format!("i32:{value}"),
        WastArgCore::I64(value) => format!("i64:{value}"),
        WastArgCore::F32(value) => format!("f32:{}", value.bits),
        WastArgCore::F64(value) => format!("f64:{}", value.bits),
        WastArgCore::V128(_) => unreachable!(),
        WastArgCore::RefNull(HeapType::Abstract {
            ty: AbstractHeapType::Func,
            ..
        }) => "null:func".into(),
        WastArgCore::RefNull(_) => "null:".into(),
        WastArgCore::RefExtern(value) => format!("ref:{value}"),
        WastArgCore::RefHost(value) => format!("ref:{value}"),
    }
}

fn constant<'a>(argument: &WastArgCore) -> Option<(&'a str, String)> {
    Some(match argument {
        WastArgCore::I32(value) => ("i32", format!("i32.const {value}")),
        WastArgCore::I64(value) => ("i64", format!("i64.const {value}")),
        WastArgCore::F32(value) => (
            "f32",
            format!("i32.const {} f32.reinterpret_i32", value.bits),
        ),
        WastArgCore::F64(value) => (
            "f64",
            format!("i64.const {} f64.reinterpret_i64", value.bits),
        ),
        WastArgCore::V128(value) => {
            let bytes: Vec<String> = value.to_le_bytes().iter().map(u8::to_string).collect();
            ("v128", format!("v128.const i8x16 {}", bytes.join(" ")))
        }
        _ => return None,
    })
}

fn result_type(result: &WastRetCore) -> Option<&'static str> {
    match result {
        WastRetCore::I32(_) => Some("i32"),
        WastRetCore::I64(_) => Some("i64"),
        WastRetCore::F32(
            NanPattern::CanonicalNan | NanPattern::ArithmeticNan | NanPattern::Value(_),
        ) => Some("f32"),
        WastRetCore::F64(_) => Some("f64"),
        WastRetCore::V128(
            V128Pattern::I8x16(_)
            | V128Pattern::I16x8(_)
            | V128Pattern::I32x4(_)
            | V128Pattern::I64x2(_)
            | V128Pattern::F32x4(_)
            | V128Pattern::F64x2(_),
        ) => Some("v128"),
        WastRetCore::Either(cases) => cases.first().and_then(result_type),
        _ => None,
    }
}

fn wat_string(text: &str) -> String {
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!("\"{escaped}\"")
}
