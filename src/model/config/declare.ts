/**
 * How a configuration file is declared: each key once. Its schema, flags, example, man page and defaults are made from
 * that. Open to the other doors: machine/ declares its keys so.
 * No valibot here: the command tree reads the declarations at every start.
 *
 * Words are plain English, with what is typed or read literally in backticks, which the man page sets apart.
 */
import { given } from "../given.ts";
import type { Refusal } from "../problem.ts";

/** A value as TOML writes it. */
export type Plain = string | number | boolean | readonly string[];

/** A flag that says what a key says. */
export interface Flag {
  /** `espSize` */
  readonly name: string;
  /** May be repeated. */
  readonly many?: true;
  /** Where the key's own words do not fit: a list's flag takes one thing. */
  readonly brief?: string;
  readonly placeholder?: string;
  /** What it says depends on other flags: the file's own code puts it in its place. */
  readonly apart?: true;
}

/** How TOML holds a value. */
export type Form =
  | { readonly kind: "text" | "text or number" | "list" | "text or list" | "truth" }
  | { readonly kind: "whole"; readonly least: number; readonly most: number }
  | { readonly kind: "choice"; readonly of: readonly string[] };

interface KeyFacts {
  /** What it is, in a few words and without a full stop; `--help` shows it. */
  readonly brief: string;
  /** Further sentences. */
  readonly more?: string;
  /** What holds without it, as the file would say it. */
  readonly default?: Plain;
  /** What holds without it, in words, where that is not one value. */
  readonly otherwise?: string;
  readonly example?: Plain;
  readonly required?: true;
  readonly flag?: Flag;
}

/** A key. `T` is what `read` makes of a value; a list's is an array of what it makes of each word. */
export interface Key<T = unknown> extends KeyFacts {
  readonly node: "key";
  readonly form: Form;
  readonly read: (input: never) => unknown;
  /** For the type alone. */
  readonly holds?: T;
}

interface TableFacts {
  /** What stands above its keys. */
  readonly words?: string;
  readonly flag?: Flag;
}

export interface Table<F extends Fields = Fields> extends TableFacts {
  readonly node: "table";
  readonly fields: F;
  /** What is wrong between values that are right by themselves. */
  readonly check?: (input: never) => Refusal | undefined;
  /** What becomes of the values. */
  readonly make?: (input: never) => unknown;
}

/** `[[…]]`: any number of tables. */
export interface Tables<I extends Table = Table> extends TableFacts {
  readonly node: "tables";
  readonly item: I;
  /** Without any, these hold. */
  readonly default?: readonly Readonly<Record<string, Plain>>[];
}

export type Node = Key | Table | Tables;
export interface Fields {
  readonly [key: string]: Node;
}

/** A whole file. */
export interface Document<F extends Fields = Fields> extends Table<F> {
  /** `machine.toml` */
  readonly name: string;
  /** The lines above everything else in its example. */
  readonly head: readonly string[];
}

type Flat<T> = { [K in keyof T]: T[K] };
type CamelKey<S> = S extends `${infer A}-${infer B}` ? `${A}${Capitalize<CamelKey<B>>}` : S;

/** A type with `esp-size` spelled `espSize`. */
type Camel<T> = T extends string | number | boolean
  ? T
  : T extends readonly (infer U)[]
    ? readonly Camel<U>[]
    : T extends object
      ? { readonly [K in keyof T as CamelKey<K & string>]: Camel<T[K]> }
      : T;

type Made<N> = N extends { make: (input: never) => infer R } ? Exclude<R, Refusal> : never;

/** What a node comes to. `Full`: with the defaults filled in. */
type Value<N, Full extends boolean> =
  N extends Key<infer T>
    ? T
    : N extends Tables<infer I>
      ? readonly Value<I, Full>[]
      : N extends { make: unknown }
        ? Made<N>
        : N extends Table<infer F>
          ? Full extends true
            ? Complete<F>
            : Raw<F>
          : never;

/** The values of a table under their own names; what is not required may be absent. */
export type Raw<F> = Flat<
  { readonly [K in keyof F as F[K] extends { required: true } ? K : never]: Value<F[K], false> } & {
    readonly [K in keyof F as F[K] extends { required: true } ? never : K]?: Value<F[K], false>;
  }
>;

/** What a file or the flags say, checked, without defaults. */
export type Wish<F> = Camel<Raw<F>>;

type Always = { required: true } | { default: unknown } | { node: "table" };

/** The same with the defaults filled in; what has none may be absent. */
export type Complete<F> = Flat<
  { readonly [K in keyof F as F[K] extends Always ? CamelKey<K & string> : never]: Camel<Value<F[K], true>> } & {
    readonly [K in keyof F as F[K] extends Always ? never : CamelKey<K & string>]?: Camel<Value<F[K], true>>;
  }
>;

type FlagsIn<N> =
  | (N extends { flag: infer X extends Flag } ? X : never)
  | (N extends { fields: infer F } ? { [K in keyof F]: FlagsIn<F[K]> }[keyof F] : never)
  | (N extends { item: infer I } ? FlagsIn<I> : never);

/** The flags of a file as they were typed. One that was not given is absent or undefined. */
export type FlagValues<D> = {
  readonly [X in FlagsIn<D> as X["name"]]?: (X extends { many: true } ? readonly string[] : string) | undefined;
};

function key<T, const W extends KeyFacts>(form: Form, read: (input: never) => unknown, facts: W): Key<T> & W {
  return { node: "key", form, read, ...facts };
}

/** A text that `read` reads. */
export function text<T, const W extends KeyFacts>(read: (input: string) => T | Refusal, facts: W): Key<T> & W {
  return key({ kind: "text" }, read, facts);
}

/** A text or a number that `read` reads as a text: 4096 and "4K". */
export function textOrNumber<T, const W extends KeyFacts>(read: (input: string) => T | Refusal, facts: W): Key<T> & W {
  return key({ kind: "text or number" }, read, facts);
}

/** A list of texts that `read` reads one by one. */
export function list<T, const W extends KeyFacts>(
  read: (input: string) => T | Refusal,
  facts: W,
): Key<readonly T[]> & W {
  return key({ kind: "list" }, read, facts);
}

/** A text or a list of texts that `read` reads as one. */
export function textOrList<T, const W extends KeyFacts>(
  read: (input: string | readonly string[]) => T | Refusal,
  facts: W,
): Key<T> & W {
  return key({ kind: "text or list" }, read, facts);
}

/** A whole number. */
export function whole<const W extends KeyFacts>(least: number, most: number, facts: W): Key<number> & W {
  return key({ kind: "whole", least, most }, (input: number) => input, facts);
}

/** true or false */
export function truth<const W extends KeyFacts>(facts: W): Key<boolean> & W {
  return key({ kind: "truth" }, (input: boolean) => input, facts);
}

/** One of a few words. */
export function choice<const T extends string, const W extends KeyFacts>(of: readonly T[], facts: W): Key<T> & W {
  return key({ kind: "choice", of }, (input: T) => input, facts);
}

export function table<F extends Fields, const W extends TableFacts>(
  facts: W,
  fields: F,
  check?: (input: Raw<F>) => Refusal | undefined,
): Table<F> & W {
  return { node: "table", fields, ...given({ check }), ...facts };
}

/** A table whose values become something else together. */
export function tableOf<F extends Fields, T>(
  fields: F,
  make: (input: Raw<F>) => T | Refusal,
): Table<F> & { readonly make: (input: never) => T | Refusal } {
  return { node: "table", fields, make };
}

export function tables<I extends Table, const W extends TableFacts & Pick<Tables, "default">>(
  facts: W,
  item: I,
): Tables<I> & W {
  return { node: "tables", item, ...facts };
}

export function document<F extends Fields>(name: string, head: readonly string[], fields: F): Document<F> {
  return { node: "table", name, head, fields };
}

/** `esp-size` → `espSize` */
export function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
