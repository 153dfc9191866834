// The programs `hello` and `torture` for workerd. Plain JavaScript: it is the worker's own source.
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const number = (name, fallback) => Number(url.searchParams.get(name) ?? fallback);
    switch (url.pathname) {
      case '/sleep':
        await sleep(number('ms', 1000));
        return new Response('slept\n', { headers: { 'content-type': 'text/plain' } });
      case '/echo':
        return new Response(request.body, { headers: { 'content-type': 'application/octet-stream' } });
      case '/read-all': {
        let length = 0;
        if (request.body) for await (const chunk of request.body) length += chunk.byteLength;
        return new Response(`{"length":${length}}\n`);
      }
      case '/big': {
        let left = number('bytes', 1 << 20);
        const chunk = new Uint8Array(65536).fill(120);
        const { readable, writable } = new TransformStream();
        const write = async () => {
          const writer = writable.getWriter();
          while (left > 0) {
            const now = Math.min(left, chunk.length);
            await writer.write(chunk.subarray(0, now));
            left -= now;
          }
          await writer.close();
        };
        void write().catch(() => {});
        return new Response(readable, { headers: { 'content-type': 'application/octet-stream' } });
      }
      case '/slow-body': {
        const { readable, writable } = new TransformStream();
        const write = async () => {
          const writer = writable.getWriter();
          const encoder = new TextEncoder();
          for (let i = 0; i < number('chunks', 5); i++) {
            if (i > 0) await sleep(number('ms', 50));
            await writer.write(encoder.encode(`data: ${i}\n\n`));
          }
          await writer.close();
        };
        void write().catch(() => {});
        return new Response(readable, { headers: { 'content-type': 'text/event-stream' } });
      }
      default:
        return new Response('Hello, world!\n', { headers: { 'content-type': 'text/plain' } });
    }
  },
};
