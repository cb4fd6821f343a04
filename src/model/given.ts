type Flat<T> = { [K in keyof T]: T[K] };

/** `{ a: string; b: number | undefined }` → `{ a: string; b?: number }` */
export type Given<T> = Flat<
  { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
    [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
  }
>;

/**
 * The object without its members that are undefined: what exactOptionalPropertyTypes wants where a value may be absent,
 * and what spreads over another object without hiding what that one has.
 */
export function given<T extends object>(members: T): Given<T> {
  const present: Partial<T> = {};
  for (const key in members) if (members[key] !== undefined) present[key] = members[key];
  return present as Given<T>;
}
