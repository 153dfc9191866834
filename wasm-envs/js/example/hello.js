// GET greets in JSON, POST sends the body back as it comes in, in upper case. Logged lines go to stderr, where
// `fissium function logs` finds them.
addEventListener('fetch', (event) => event.respondWith(handle(event.request)));

async function handle(request) {
  const url = new URL(request.url);
  switch (request.method) {
    case 'GET': {
      const name = url.searchParams.get('name') ?? 'world';
      console.error(`greeting ${name}`);
      return Response.json({ message: `Hello, ${name}!`, path: url.pathname });
    }
    case 'POST':
      return new Response(request.body.pipeThrough(upperCase()), {
        headers: { 'content-type': request.headers.get('content-type') ?? 'text/plain' },
      });
    default:
      return new Response('Only GET and POST are answered.\n', { status: 405, headers: { allow: 'GET, POST' } });
  }
}

/** Changes ASCII letters chunk by chunk; no chunk waits for the next. */
function upperCase() {
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)));
    },
  });
}
