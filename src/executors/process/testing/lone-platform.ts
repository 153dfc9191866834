/** A process with one deployed function, to be killed: prints the pid of the function's process. */
import { call, TestExecutor } from './executor.ts';

const [image = '', code = ''] = process.argv.slice(2);
const platform = await TestExecutor.start({ spares: 1 });
const fn = await platform.deploy(image, code);
process.stdout.write(`${(await call(fn, '/')).text}\n`);
