import { INSTALLED_IN } from './install.ts';
import { kubectl } from './kubectl.ts';
import { eventually } from './wait.ts';

/** The pod of the controller that leads. */
export function leader(): Promise<string> {
  return eventually('a controller that leads', async () => {
    const holder = ['get', 'lease', 'fissium-controller', '-n', INSTALLED_IN];
    const name = await kubectl(...holder, '-o', 'jsonpath={.spec.holderIdentity}');
    return name !== '' && name;
  });
}

/** Waits until another controller leads than that one. */
export function leaderOtherThan(before: string): Promise<string> {
  return eventually(`another leader than ${before}`, async () => {
    const now = await leader();
    return now !== before && now;
  });
}
