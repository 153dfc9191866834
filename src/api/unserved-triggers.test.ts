import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  resolveKubernetesWatchTrigger,
  resolveMessageQueueTrigger,
  resolveTimeTrigger,
  type TimeTrigger,
} from './index.ts';
import { timeTriggerKind } from './time-trigger.ts';
import { queueTrigger, timeTrigger, watchTrigger } from './testing/examples.ts';

describe('resolveTimeTrigger', () => {
  it('takes the short form, and fills what it leaves out', () => {
    const object = parse(`
      apiVersion: fission.io/v1
      kind: TimeTrigger
      metadata:
        name: daily-report
      spec:
        functionref:
          name: report-generator
        cron: "0 9 * * *"
    `) as TimeTrigger;
    expect(timeTriggerKind.validate(object)).toEqual([]);
    expect(resolveTimeTrigger(object)).toMatchObject({
      namespace: 'default',
      schedule: '0 9 * * *',
      timeZone: null,
      method: 'POST',
      subpath: '/',
      functions: [{ name: 'report-generator', weight: 100 }],
    });
  });

  it.each([
    ['TZ=Europe/Berlin 0 9 * * *', '0 9 * * *', 'Europe/Berlin'],
    ['CRON_TZ=UTC @daily', '@daily', 'UTC'],
    [' @every 1h30m ', '@every 1h30m', null],
  ])('takes the time zone of "%s" apart', (cron, schedule, timeZone) => {
    expect(resolveTimeTrigger(timeTrigger({ cron }))).toMatchObject({ schedule, timeZone });
  });

  it('writes the method in upper case and the path with its slash', () => {
    expect(resolveTimeTrigger(timeTrigger({ method: 'put', subpath: 'a' }))).toMatchObject({
      method: 'PUT',
      subpath: '/a',
    });
  });
});

describe('resolveMessageQueueTrigger', () => {
  it('takes a batch size, and has defaults', () => {
    expect(resolveMessageQueueTrigger(queueTrigger({ batchSize: 10 }))).toMatchObject({
      queueType: 'kafka',
      keda: false,
      topic: 'orders',
      responseTopic: '',
      batchSize: 10,
      maxRetries: 0,
      maxReplicas: null,
    });
    expect(resolveMessageQueueTrigger(queueTrigger()).batchSize).toBe(1);
  });
});

describe('resolveKubernetesWatchTrigger', () => {
  it('writes the type in upper case', () => {
    const labelselector = { app: 'web' };
    expect(resolveKubernetesWatchTrigger(watchTrigger({ type: 'pod', labelselector }))).toMatchObject({
      watches: 'POD',
      watchedNamespace: 'default',
      labels: labelselector,
    });
  });
});
