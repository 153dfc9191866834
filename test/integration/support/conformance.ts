import type { Answer, Case } from '../../conformance/cases.ts';

/** What a case came to, in the shape of what it expects. */
export async function answerOf(base: string, item: Case): Promise<Answer> {
  const { method = 'GET', path, headers = {}, body, expect } = item;
  const answer = await fetch(base + path, { method, headers, ...(body === undefined ? {} : { body }) });
  const fails = 'failure' in expect;
  if ((fails || expect.broken) && answer.status === 502) {
    const { code } = (await answer.json()) as { code: string };
    if (fails) return { failure: code };
    return code.startsWith('GUEST_') ? expect : { failure: code };
  }
  if (fails) return { status: answer.status, body: await answer.text() };
  return guestsAnswer(answer, expect);
}

/** Like {@link answerOf}, from a host with failures of its own: a 500, or a connection that ends. */
export async function foreignAnswerOf(base: string, item: Case): Promise<Answer> {
  const { method = 'GET', path, headers = {}, body, expect } = item;
  const mayFail = 'failure' in expect || expect.broken === true;
  let answer: Response;
  try {
    answer = await fetch(base + path, { method, headers, ...(body === undefined ? {} : { body }) });
  } catch (error) {
    if (mayFail) return expect;
    throw error;
  }
  if (mayFail && answer.status === 500) return expect;
  if ('failure' in expect) return { status: answer.status, body: await answer.text() };
  return guestsAnswer(answer, expect);
}

async function guestsAnswer(answer: Response, expect: Exclude<Answer, { failure: string }>): Promise<Answer> {
  const seen = Object.fromEntries(
    Object.keys(expect.headers ?? {}).map((name) => [name, answer.headers.get(name) ?? '']),
  );
  const shape = { status: answer.status, ...(expect.headers ? { headers: seen } : {}) };
  try {
    const text = await answer.text();
    return { ...shape, ...(expect.body === undefined ? {} : { body: bodyAs(expect.body, text) }) };
  } catch {
    return { ...shape, broken: true };
  }
}

/** A body as the case writes it: the pattern itself where it matches. */
function bodyAs(wanted: string | RegExp, text: string): string | RegExp {
  return wanted instanceof RegExp && wanted.test(text) ? wanted : text;
}
