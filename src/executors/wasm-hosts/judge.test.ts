import { describe, expect, it } from 'vitest';

import type { DeployedFunctionReport } from '../../control/host/deployed.ts';
import { judgeHosts } from './judge.ts';

const report = (over: Partial<DeployedFunctionReport> = {}): DeployedFunctionReport => ({
  namespace: 'default',
  name: 'hello',
  uid: 'u',
  generation: 3,
  ready: true,
  reason: 'Deployed',
  message: 'Every thread serves it.',
  ...over,
});
const judge = (reports: (DeployedFunctionReport | null)[], wanted = reports.length) =>
  judgeHosts({ generation: 3, reports, wanted, trouble: undefined });

describe('judgeHosts', () => {
  it('is ready when every host serves this generation', () => {
    expect(judge([report(), report()])).toEqual({
      ready: true,
      reason: 'Deployed',
      message: '2 hosts serve it.',
    });
  });

  it('passes while a host is behind, does not answer, or has not heard of the function', () => {
    for (const behind of [report({ generation: 2 }), null]) {
      expect(judge([report(), behind])).toEqual({
        ready: false,
        passing: true,
        reason: 'HostsBehind',
        message: '1 of 2 hosts serve it.',
      });
    }
  });

  it('says what a host says of a function that it cannot serve', () => {
    const refused = report({ ready: false, reason: 'DeployFailed', message: 'too little memory' });
    expect(judge([refused])).toEqual({ ready: false, reason: 'DeployFailed', message: 'too little memory' });
    expect(judge([report(), refused])).toEqual({
      ready: true,
      reason: 'DeployFailed',
      message: '1 of 2 hosts: too little memory',
    });
  });

  it('without hosts is ready if none is wanted, and else says what keeps them', () => {
    expect(judge([], 0)).toMatchObject({ ready: true, reason: 'ScaledToZero' });
    expect(judge([], 1)).toMatchObject({ ready: false, passing: true, reason: 'HostsStarting' });
    const trouble = { reason: 'ImagePullFailed', message: 'no such image' };
    expect(judgeHosts({ generation: 3, reports: [], wanted: 1, trouble })).toEqual({
      ready: false,
      ...trouble,
    });
  });
});
