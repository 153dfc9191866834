/**
 * What a component must answer, whoever runs it: one list for every engine. The guest is
 * `test/guests/built/torture.wasm`, whose behaviour the path chooses.
 */
export interface Case {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly expect: {
    readonly status: number;
    /** The whole body, or what it must match. */
    readonly body?: string | RegExp;
    /** Headers that the guest sets. */
    readonly headers?: Readonly<Record<string, string>>;
    /**
     * The guest fails after its head: the connection breaks before the body is whole, or, where no byte was sent
     * yet, the answer is a 502 in its place (`status` is then what the guest had set).
     */
    readonly broken?: true;
  };
}

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
  { name: 'no environment of the process', path: '/env', expect: { status: 200, body: '{}\n' } },
  { name: 'a status', path: '/status?code=418', expect: { status: 418, headers: { 'x-torture': 'status' } } },
  { name: 'many bytes', path: '/big?bytes=1000000', expect: { status: 200, body: /^.{1000000}$/s } },
  { name: 'a body in pieces', path: '/slow-body?chunks=3&ms=5', expect: { status: 200, body: /./ } },
  { name: 'sleep', path: '/sleep?ms=20', expect: { status: 200, body: 'slept\n' } },
  { name: 'poll tells the order of timers', path: '/poll', expect: { status: 200, body: '1,2,0\n' } },
  { name: 'a clean instance for each request', path: '/counter', expect: { status: 200, body: '1\n' } },
  { name: 'a clean instance, again', path: '/counter', expect: { status: 200, body: '1\n' } },
  { name: 'random bytes', path: '/random', expect: { status: 200, body: /"bytes":"[0-9a-f]{32}"/ } },
  {
    name: 'a denied outbound request',
    path: '/outbound?url=http://127.0.0.1:1/',
    expect: { status: 502, body: /HttpRequestDenied/ },
  },
  { name: 'a trap', path: '/trap', expect: { status: 502, body: /"code":"GUEST_TRAPPED"/ } },
  { name: 'a panic', path: '/panic', expect: { status: 502, body: /"code":"GUEST_TRAPPED"/ } },
  { name: 'endless recursion', path: '/recurse', expect: { status: 502, body: /"code":"GUEST_TRAPPED"/ } },
  {
    name: 'memory without end',
    path: '/alloc',
    expect: { status: 502, body: /"code":"GUEST_OUT_OF_MEMORY"/ },
  },
  { name: 'exit', path: '/exit?code=1', expect: { status: 502, body: /"code":"GUEST_EXITED"/ } },
  { name: 'no response', path: '/no-response', expect: { status: 502, body: /"code":"GUEST_NO_RESPONSE"/ } },
  { name: 'an error code', path: '/error-code', expect: { status: 502, body: /"code":"GUEST_ERROR_CODE"/ } },
  {
    name: 'handles without end',
    path: '/hoard-pollables',
    expect: { status: 502, body: /"code":"GUEST_TRAPPED"/ },
  },
  { name: 'a trap after the head', path: '/trap-after-head', expect: { status: 200, broken: true } },
  { name: 'a body that is not finished', path: '/drop-body', expect: { status: 200, broken: true } },
  {
    name: 'fewer bytes than announced',
    path: '/content-length-wrong',
    expect: { status: 200, broken: true },
  },
];
