export { essentialName, type Pair, typesCompatible } from './compare.ts';
export { type CoreKind, type CoreRelocation, coreKinds } from './relocation.ts';
export { type CoreResolution, CoreResolver, coreRelocationOf } from './resolve.ts';
