/**
 * The rules of the house: who may import whom. One table, from which `npm run house` writes the lint rules into
 * .oxlintrc.json, and by which test/unit/house/architecture.test.ts judges every import. docs/architecture.md says why.
 */

/** A floor: a folder of src. It always reads itself. */
interface Floor {
  /** The floors below that it may import from. */
  readonly below: readonly string[];
  /** Floors of which it may name types without calling anything. */
  readonly types?: readonly string[];
  /** Of a floor below, these files alone. */
  readonly only?: Readonly<Record<string, readonly string[]>>;
  /** Its folders are doors: they may import from these, and from what is open to the other doors. */
  readonly foundation?: readonly string[];
  /** What a wrong import is told. */
  readonly message: string;
}

export const floors: Readonly<Record<string, Floor>> = {
  commands: {
    below: ["apply", "plan", "report", "host", "model"],
    message: "The command tree calls commands/, not the reverse.",
  },
  apply: {
    below: ["plan", "host", "model"],
    types: ["report"],
    message: "apply/ uses plan/, host/ and model/; of report/ it knows the type that it is handed.",
  },
  plan: { below: ["model"], message: "plan/ is pure: it reads model/ only." },
  report: {
    below: ["host", "model"],
    only: { host: ["machine/terminal.ts", "kernel/process.ts", "kernel/failure.ts"] },
    message: "report/ reads model/ and writes to the terminal.",
  },
  host: { below: ["model"], foundation: ["kernel"], message: "host/ uses host/ and model/." },
  model: { below: [], foundation: ["kernel", "text"], message: "model/ reads nothing but model/." },
};

/** The port to the engine, for the folder that it is in alone. */
const PORT = { file: "src/host/kernel/sys.ts", within: "src/host/kernel/" };

/** Opens a file to the other doors of its floor, in the comment that it begins with. */
const OPEN = /^\/\*\*(?:(?!\*\/)[^])*\bOpen to the other doors\b/;

export function isOpen(text: string): boolean {
  return OPEN.test(text);
}

/**
 * What lies in the tree, as far as the rules ask: the doors of each floor, and the files that are open. Paths from the
 * root.
 */
export interface House {
  readonly doors: Readonly<Record<string, readonly string[]>>;
  readonly open: readonly string[];
}

interface Restriction {
  readonly regex?: string;
  readonly group?: readonly string[];
  readonly allowTypeImports?: boolean;
  readonly message: string;
}

interface Override {
  readonly files: readonly string[];
  readonly rules: {
    readonly "no-restricted-imports": readonly ["error", { readonly patterns: readonly Restriction[] }];
  };
}

const noNode: Restriction = {
  regex: "^node:|^(fs|path|os|child_process|crypto|util)(/|$)",
  message: "src/ runs in QuickJS: no Node.",
};
const noPort: Restriction = { regex: "(^|/)sys\\.ts$", message: "Only host/kernel imports sys.ts." };

/** A folder as files of its floor's doors reach it: one folder deep, or two. */
const seenFrom = (path: string): string[] => [`../${path}`, `../../${path}`];

function restrictFloor(name: string, { below, types = [], only = {}, message }: Floor): Restriction[] {
  const others = Object.keys(floors).filter((other) => other !== name && ![...below, ...types].includes(other));
  const upward = { regex: `^(\\.\\./)+(${others.map((other) => `${other}/|`).join("")}(app|main)\\.ts)`, message };
  return [
    upward,
    ...types.map((other) => ({ regex: `^(\\.\\./)+${other}/`, allowTypeImports: true, message })),
    ...Object.entries(only).map(([other, files]) => ({
      group: [
        ...seenFrom(`${other}/**`),
        ...files.flatMap((file) => seenFrom(`${other}/${file}`).map((path) => `!${path}`)),
      ],
      message,
    })),
  ];
}

function restrictDoor(floor: string, door: string, { doors, open }: House): Restriction[] {
  const foundation = floors[floor]?.foundation ?? [];
  const closed = (doors[floor] ?? []).filter((other) => other !== door && !foundation.includes(other));
  if (closed.length === 0) return [];
  const opened = open.filter((file) => closed.some((other) => file.startsWith(`src/${floor}/${other}/`)));
  return [
    {
      group: [
        ...closed.flatMap((other) => seenFrom(`${other}/**`)),
        ...opened.flatMap((file) => seenFrom(file.slice(`src/${floor}/`.length)).map((path) => `!${path}`)),
      ],
      message: "Another door is used through a file whose first comment says that it is open to the other doors.",
    },
  ];
}

function override(files: string, patterns: readonly Restriction[]): Override {
  return { files: [files], rules: { "no-restricted-imports": ["error", { patterns: [noNode, ...patterns] }] } };
}

/**
 * The overrides of the lint configuration. A later one replaces an earlier one, so each door repeats what holds for its
 * floor.
 */
export function lintOverrides(house: House): Override[] {
  return [
    override("src/*.ts", [noPort]),
    ...Object.entries(floors).flatMap(([name, floor]) => {
      const own = restrictFloor(name, floor);
      const doors = floor.foundation === undefined ? [] : (house.doors[name] ?? []);
      return [
        override(`src/${name}/**`, [...own, noPort]),
        ...doors.map((door) => {
          const port = `src/${name}/${door}/` === PORT.within ? [] : [noPort];
          return override(`src/${name}/${door}/**`, [...own, ...port, ...restrictDoor(name, door, house)]);
        }),
      ];
    }),
  ];
}

/** Why a file may not import another one of src (paths from the root), or undefined when it may. */
export function refuseImport(from: string, to: string, typeOnly: boolean, open: readonly string[]): string | undefined {
  const [, fromFloor = "", fromDoor = ""] = from.split("/");
  const [, toFloor = "", toDoor = ""] = to.split("/");
  if (to === PORT.file && !from.startsWith(PORT.within)) return `sys.ts belongs to ${PORT.within}`;
  // main.ts and app.ts, the roots of the program, may import everything.
  if (fromFloor.endsWith(".ts")) return undefined;
  const floor = floors[fromFloor];
  if (floor === undefined) return `the house has no folder src/${fromFloor}`;
  if (fromFloor === toFloor) {
    const within = floor.foundation === undefined || toDoor.endsWith(".ts") || fromDoor === toDoor;
    return within || floor.foundation.includes(toDoor) || open.includes(to)
      ? undefined
      : `src/${toFloor}/${toDoor} is closed`;
  }
  if (typeOnly && floor.types?.includes(toFloor)) return undefined;
  if (!floor.below.includes(toFloor)) return floor.message;
  const files = floor.only?.[toFloor];
  return files === undefined || files.some((file) => to === `src/${toFloor}/${file}`) ? undefined : floor.message;
}

/** Code files that a folder holds at most. */
export const CROWD = 12;

/** Lines of a file at most: one that passes them wants to be two. */
export const LONGEST = 400;

/** Columns of a line at most. */
export const WIDEST = 120;

/**
 * Names that several files of src share because they mean the same: a verb on the floors that it passes, a subject in
 * model/ and where it is written. Every other name is one file's.
 */
export const sharedNames: readonly string[] = [
  "change.ts",
  "commons.ts",
  "executors.ts",
  "gc.ts",
  "install.ts",
  "mark.ts",
  "switch.ts",
];
