/**
 * An object loaded and attached on a fresh embedded kernel, as `run` and `map` need it.
 */
import { SkepError } from '../base/errors.ts';
import type { Device } from '../kernel/index.ts';
import type { CollectionSpec } from '../object/index.ts';
import { type Collection, Kernel, type KernelHandle, setVariables } from '../user/index.ts';
import { usageError } from './args.ts';
import { attachAll } from './attach.ts';
import type { Invocation } from './invocation.ts';
import { givenConfig } from './kconfig.ts';
import { engineOf } from './kernel.ts';
import { inFile, openFile } from './open.ts';
import { parseValue } from './values.ts';

export interface Session {
  readonly kernel: Kernel;
  readonly spec: CollectionSpec;
  readonly collection: Collection;
  readonly device: Device;
  /** Every loaded program with what it is attached to; undefined where it is not attached. */
  readonly attached: ReadonlyMap<string, string | undefined>;
}

/** Opens, sets, loads and attaches. */
export function startSession(invocation: Invocation): Session {
  const path = invocation.file;
  const spec = openFile(path);
  return inFile(path, () => {
    const kernel = new Kernel({ engine: engineOf(invocation) });
    const device = addDevice(kernel, invocation.value('device') ?? 'eth0');
    const collection = loadWithSettings(kernel, spec, invocation);
    const attached = attachAll({ spec, collection, device: device.name }, invocation.values('attach'));
    return { kernel, spec, collection, device, attached };
  });
}

function addDevice(kernel: Kernel, name: string): Device {
  return kernel.embedded.devices.byName(name) ?? kernel.embedded.devices.add(name);
}

/** Loads a spec with what `--kconfig` gives, and the values of `--set`: variables before the load, elements of maps after it. */
export function loadWithSettings(
  kernel: KernelHandle,
  spec: CollectionSpec,
  invocation: Invocation,
): Collection {
  const elements: { map: string; key: string; value: string }[] = [];
  for (const setting of invocation.values('set')) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(setting) ?? [];
    if (name === undefined || value === undefined) throw badSetting(setting);
    if (Object.hasOwn(spec.variables, name)) {
      setVariables(spec, { [name]: parseValue(value) });
      continue;
    }
    const map = Object.keys(spec.maps).find((candidate) => name.startsWith(`${candidate}.`));
    if (map === undefined) {
      const names = [...Object.keys(spec.variables), ...Object.keys(spec.maps).map((each) => `${each}.KEY`)];
      throw new SkepError({
        code: 'no-variable',
        message: `--set ${setting}: the object has neither such a variable nor such a map`,
        hint: names.length === 0 ? 'it has none at all' : `there are ${names.join(', ')}`,
      });
    }
    elements.push({ map, key: name.slice(map.length + 1), value });
  }
  const collection = kernel.load(spec, { kconfig: givenConfig(invocation) });
  for (const { map, key, value } of elements) collection.map(map).set(parseValue(key), parseValue(value));
  return collection;
}

function badSetting(setting: string): SkepError {
  return usageError(`--set ${setting}: a '=' is missing`, '--set VARIABLE=VALUE or --set MAP.KEY=VALUE');
}
