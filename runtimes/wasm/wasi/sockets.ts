/** `wasi:sockets`: a function may link against it; every socket and every look-up is denied. */
import { Resource } from './resource.ts';
import { err, type Result } from './result.ts';
import type { GuestState } from './state.ts';

type Denied = Result<never, 'access-denied'>;

/** The right to use the network, which grants nothing here. */
export class Network extends Resource {
  constructor(state: GuestState) {
    state.check();
    super(state, 'network');
  }
}

/** `create-tcp-socket`, `create-udp-socket` and `resolve-addresses`. */
export function deny(state: GuestState): Denied {
  state.check();
  return err('access-denied');
}

/** No error of this host came from a socket. */
export function networkErrorCode(state: GuestState): undefined {
  state.check();
  return undefined;
}

// Linked against, never made: no socket is ever created, so none of their operations can be called.
export class TcpSocket {}
export class UdpSocket {}
export class IncomingDatagramStream {}
export class OutgoingDatagramStream {}
export class ResolveAddressStream {}
