import { loadComponent } from './testing/run-component.ts';
import { MemoryInvocation } from './testing/memory-invocation.ts';
import { createServer } from 'node:http';
const c = await loadComponent('/tmp/wtort/target/wasm32-wasip2/release/wtort.wasm');
const server = createServer((q, s) => { let b=''; q.on('data', d => b += d); q.on('end', () => { if (q.url?.includes('cut')) { s.write('xx'); setTimeout(()=>s.destroy(),10); return; } s.end(`${q.method} ${q.url} ${JSON.stringify(q.rawHeaders)} ${b}`)}); });
await new Promise<void>(r => server.listen(0, '127.0.0.1', r));
const port = (server.address() as {port:number}).port;
async function* big() { for (let i = 0; i < 100; i++) yield Buffer.alloc(65536, i); }
for (const [path, o] of [['/', {}], ['/info', {grants: {env: [['A','B']] as const, args: ['x']}, request: {headers: [['X-A','1'],['Host','h']] as const}}], ['/echo', {body: ['a','b'], trailers: [['t','v']] as const}], ['/echo', {body: big()}], ['/copy', {body: big()}], ['/poll', {}], [`/fetch/127.0.0.1:${port}`, {}], [`/fetch/127.0.0.1:${port}`, {grants: {allowedOutboundHosts: [`http://127.0.0.1:${port}`]}}],
 [`/fetch/localhost:${port}`, {grants: {allowedOutboundHosts: [`http://localhost:${port}`]}}], ['/fetch/localhost:1', {grants: {allowedOutboundHosts: [`http://localhost:1`]}}],
 ['/fetch/nope.invalid:1', {grants: {allowedOutboundHosts: [`http://nope.invalid:1`]}}],
 ['/error', {}], ['/none', {}], ['/nofinish', {}], ['/exit', {}], ['/panic', {}], ['/badwrite', {}], ['/children', {}], ['/hoard', {}], ['/fields', {}]] as const) {
  const i = new MemoryInvocation({ ...o as object, request: { ...(o as any).request, pathWithQuery: path } });
  const t = performance.now();
  let e: unknown = null; try { await c.handle(i); } catch (x) { e = x; }
  console.log(path, (performance.now() - t).toFixed(1), e instanceof Error ? `${e.name} ${(e as any).code ?? ''} ${e.message}` : e, i.sink.status, JSON.stringify(i.sink.headers), i.sink.bytes, i.sink.text.slice(0, 400), JSON.stringify(i.sink.trailers), JSON.stringify([i.stdout, i.stderr]).slice(0,300), i.turn.released, i.body?.reads, i.body?.cancelled);
}
server.close();
