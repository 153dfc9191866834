/**
 * What a component must answer, whoever runs it: one list for every engine, and for `wasmtime serve`. The guest is
 * `test/guests/built/torture.wasm`, whose behaviour the path chooses; that of {@link FILE_CASES} is `files.wasm`.
 */
export interface Case {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** What makes it a promise of the platform alone, which other hosts do not give. */
  readonly ours?: string;
  readonly expect: Answer;
}

export type Answer =
  | {
      readonly status: number;
      /** The whole body, or what it must match. */
      readonly body?: string | RegExp;
      /** Headers that the guest sets. */
      readonly headers?: Readonly<Record<string, string>>;
      /**
       * The guest fails after its head: the connection breaks before the body is whole, or, where no byte was sent
       * yet, the answer is that of a failure in its place (`status` is then what the guest had set).
       */
      readonly broken?: true;
    }
  /** The guest fails before its head: 502 with this code, or what another host says then. */
  | { readonly failure: string };

const long = 'x'.repeat(300_000);

export const CASES: readonly Case[] = [
  {
    name: 'hello',
    path: '/hello',
    expect: { status: 200, body: 'Hello, world!\n', headers: { 'content-type': 'text/plain' } },
  },
  {
    name: 'a body goes there and back',
    method: 'POST',
    path: '/echo',
    body: long,
    expect: { status: 200, body: long },
  },
  {
    name: 'a body is spliced back',
    method: 'POST',
    path: '/echo-splice',
    body: long,
    expect: { status: 200, body: long },
  },
  { name: 'an empty body', method: 'POST', path: '/echo', body: '', expect: { status: 200, body: '' } },
  {
    name: 'a body is read whole',
    method: 'POST',
    path: '/read-all',
    body: long,
    expect: { status: 200, body: /"length":300000/ },
  },
  {
    name: 'a body is left unread',
    method: 'POST',
    path: '/hello',
    body: long,
    expect: { status: 200, body: 'Hello, world!\n' },
  },
  {
    name: 'method, path and query',
    method: 'PUT',
    path: '/echo-headers?a=b%20c&d',
    expect: { status: 200, body: /"method":"PUT","path":"\/echo-headers\?a=b%20c&d"/ },
  },
  {
    name: 'a header of the client',
    path: '/echo-headers',
    headers: { 'x-mine': 'yes, mine' },
    expect: { status: 200, body: /\["x-mine","yes, mine"\]/ },
  },
  {
    name: 'no environment of the process',
    path: '/env',
    // wasmtime numbers its instances in a variable.
    ours: 'a guest has no variables but its own',
    expect: { status: 200, body: '{}\n' },
  },
  { name: 'a status', path: '/status?code=418', expect: { status: 418, headers: { 'x-torture': 'status' } } },
  { name: 'many bytes', path: '/big?bytes=1000000', expect: { status: 200, body: /^.{1000000}$/s } },
  { name: 'a body in pieces', path: '/slow-body?chunks=3&ms=5', expect: { status: 200, body: /./ } },
  { name: 'sleep', path: '/sleep?ms=20', expect: { status: 200, body: 'slept\n' } },
  {
    name: 'poll tells the order of timers',
    path: '/poll?ms=1500,10,750',
    expect: { status: 200, body: '1,2,0\n' },
  },
  { name: 'a clean instance for each request', path: '/counter', expect: { status: 200, body: '1\n' } },
  { name: 'a clean instance, again', path: '/counter', expect: { status: 200, body: '1\n' } },
  { name: 'random bytes', path: '/random', expect: { status: 200, body: /"bytes":"[0-9a-f]{32}"/ } },
  {
    name: 'a denied outbound request',
    path: '/outbound?url=http://127.0.0.1:1/',
    ours: 'a guest reaches only what its spec names',
    expect: { status: 502, body: /HttpRequestDenied/ },
  },
  { name: 'a trap', path: '/trap', expect: { failure: 'GUEST_TRAPPED' } },
  { name: 'a panic', path: '/panic', expect: { failure: 'GUEST_TRAPPED' } },
  { name: 'endless recursion', path: '/recurse', expect: { failure: 'GUEST_TRAPPED' } },
  {
    name: 'memory without end',
    path: '/alloc',
    expect: { failure: 'GUEST_OUT_OF_MEMORY' },
  },
  { name: 'exit', path: '/exit?code=1', expect: { failure: 'GUEST_EXITED' } },
  { name: 'no response', path: '/no-response', expect: { failure: 'GUEST_NO_RESPONSE' } },
  { name: 'an error code', path: '/error-code', expect: { failure: 'GUEST_ERROR_CODE' } },
  {
    name: 'handles without end',
    path: '/hoard-pollables',
    ours: 'handles have a cap',
    expect: { failure: 'GUEST_TRAPPED' },
  },
  {
    name: 'a trap after the head',
    path: '/trap-after-head',
    // wasmtime 48 ends the answer as if it were whole.
    ours: 'a broken answer is never ended cleanly',
    expect: { status: 200, broken: true },
  },
  { name: 'a body that is not finished', path: '/drop-body', expect: { status: 200, broken: true } },
  {
    name: 'fewer bytes than announced',
    path: '/content-length-wrong',
    expect: { status: 200, broken: true },
  },
];

/** A body of one line, whose end may be missing. */
const line = (text: string): RegExp => new RegExp(`^${RegExp.escape(text)}\\n?$`);

const READ_ONLY = 'files are read-only';

/**
 * For `files.wasm`, with `templates/page.html`, `data.bin` (300,000 bytes), the config maps `app` (color, size, raw) and `more`
 * (color) and the secret `db` (user, password) below `/`.
 */
export const FILE_CASES: readonly Case[] = (
  [
    ['/read?path=templates/page.html', 200, '<h1>page</h1>'],
    ['/read?path=/templates/../templates/page.html', 200, '<h1>page</h1>'],
    ['/stat?path=data.bin', 200, 'file 300000 true'],
    ['/list?path=/', 200, 'configs/\ndata.bin\nsecrets/\ntemplates/\ntmp/'],
    ['/list?path=/configs/default/app', 200, 'color\nraw\nsize'],
    ['/read?path=/configs/default/app/color', 200, 'blue'],
    ['/list?path=/secrets/default/db', 200, 'password\nuser'],
    ['/config?key=color', 200, 'red'],
    ['/config?key=password', 404, 'NotFound None'],
    ['/all-config', 200, 'color=red\nsize=3'],
    ['/write?path=data.bin', 404, 'ReadOnlyFilesystem Some(69)', READ_ONLY],
    ['/write?path=/secrets/default/db/password', 404, 'ReadOnlyFilesystem Some(69)', READ_ONLY],
    ['/remove?path=data.bin', 404, 'ReadOnlyFilesystem Some(69)', READ_ONLY],
    ['/write?path=/new', 404, 'ReadOnlyFilesystem Some(69)', READ_ONLY],
    ['/read?path=../../../../etc/passwd', 404, 'PermissionDenied Some(63)'],
    ['/read?path=/etc/passwd', 404, 'NotFound Some(44)'],
    ['/read?path=/proc/self/environ', 404, 'NotFound Some(44)'],
    ['/keyvalue', 200, 'Some(Error::NoSuchStore)', 'stores link and answer that there is none'],
    [
      '/sockets',
      200,
      'PermissionDenied PermissionDenied PermissionDenied PermissionDenied',
      'sockets are refused',
    ],
  ] as const
).map(([path, status, body, ours]) => ({
  name: path,
  path,
  expect: { status, body: line(body) },
  ...(ours === undefined ? {} : { ours }),
}));
