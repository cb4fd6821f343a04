import { commonsExecutors } from "../apply/commons.ts";
import { useOfCommons } from "../host/volume/commons-use.ts";
import { ask, isTerminal } from "../host/machine/terminal.ts";
import { FirnError, orThrow } from "../model/problem.ts";
import {
  describeCommonsStep,
  planAddCommons,
  planDeleteCommons,
  planRemoveCommons,
  sharedPaths,
} from "../plan/commons.ts";
import { planned } from "./session/planned.ts";
import { table, type Result } from "../report/result.ts";
import { change, type ChangeFlags } from "./change.ts";
import { reading, writing, type ReadFlags, type WriteFlags } from "./session/session.ts";

/** `firn commons list` */
export function listCommons(flags: ReadFlags): Result {
  return reading(flags, ({ state }) => {
    const mounted = sharedPaths(state);
    const rows = state.commons.map((name) => ({ name, path: mounted.find((one) => one.name === name)?.path ?? null }));
    return {
      data: { commons: rows },
      lines: table([
        ["NAME", "PATH"],
        ...rows.map(({ name, path }) => [name, path ?? "no longer shared; `firn commons delete` deletes it"]),
      ]),
    };
  });
}

/** `firn commons add PATH` */
export function addCommons(flags: ChangeFlags, [path = ""]: readonly string[]): Result {
  return change(flags, `firn commons add ${path}`, (state, root) =>
    planAddCommons(state, path, path.startsWith("/") ? root?.leads(path) : undefined),
  );
}

/** `firn commons remove PATH`: the generations from the next one on have their own; the data stays. */
export function removeCommons(flags: ChangeFlags, [path = ""]: readonly string[]): Result {
  return change(flags, `firn commons remove ${path}`, (state) => planRemoveCommons(state, path));
}

function confirm(name: string, yes: boolean | undefined): void {
  const question = `Delete ${name} and all data in it? Older generations still mount it. Type its name: `;
  if (yes || (isTerminal() && ask(question) === name)) return;
  throw new FirnError("E_CONFIRM", "Not confirmed.", "Type the name when asked, or add --yes.");
}

/** `firn commons delete NAME` */
export function deleteCommons(flags: WriteFlags & { yes?: boolean }, [name = ""]: readonly string[]): Result {
  return writing(flags, "firn commons delete", ({ volume, store, state, carryOut }) => {
    const steps = orThrow(planDeleteCommons(state, name, (own) => useOfCommons(volume, state, own)));
    const plan = { steps, describe: describeCommonsStep };
    if (flags.dryRun) return planned(plan, { deleted: null });
    confirm(name, flags.yes);
    carryOut(plan, commonsExecutors, { store });
    return { data: { deleted: name }, lines: [`Deleted ${name}.`] };
  });
}
