/**
 * The three ways in which the host ends a guest. All are WebAssembly.RuntimeErrors, so that generated glue
 * takes them for traps and not for an error of the interface that the guest called.
 */
abstract class GuestStop extends WebAssembly.RuntimeError {
  abstract readonly kind: 'trap' | 'exit' | 'ended';
}

/** The guest broke a rule of the interface or went past a cap; the message says which. */
export class GuestTrap extends GuestStop {
  override readonly name = 'GuestTrap';
  readonly kind = 'trap';
}

/** The guest called `wasi:cli/exit`. */
export class GuestExit extends GuestStop {
  override readonly name = 'GuestExit';
  readonly kind = 'exit';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`the function called exit with status ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Nobody waits for this guest any more; not the guest's fault. */
export class GuestEnded extends GuestStop {
  override readonly name = 'GuestEnded';
  readonly kind = 'ended';

  constructor(reason: unknown) {
    super('the invocation has ended');
    this.cause = reason;
  }
}

export type AnyGuestStop = GuestTrap | GuestExit | GuestEnded;
