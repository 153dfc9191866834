/** The thread of one initialiser. It has no environment. */
import { parentPort, workerData } from 'node:worker_threads';
import { runCapture } from './run-capture.ts';
import type { CaptureTask } from './thread.ts';

parentPort?.postMessage(runCapture(workerData as CaptureTask));
