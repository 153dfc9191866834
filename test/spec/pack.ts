/** Packs what `convert/` prints on standard input into `suite.json.br`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { brotliCompressSync, constants } from 'node:zlib';

const json = await buffer(process.stdin);
const params = { [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_QUALITY]: 11 };
writeFileSync(join(import.meta.dirname, 'suite.json.br'), brotliCompressSync(json, { params }));
