import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mustKeep } from "../../../src/model/volume/retention.ts";
import { isRefusal } from "../../../src/model/problem.ts";
import {
  GENERATION_OVERHEAD,
  describeStep,
  planChange,
  planPackages,
  type Change,
  type ChangeStep,
  type ChangeWish,
} from "../../../src/plan/change.ts";
import { DAY, MiB, anyVolume, generation, granted, id, idAt, problemIn, volume } from "../../fixtures/state.ts";

const now = 1000 * DAY;
const names = ["a", "b", "c", "d", "e", "f"];
const state = volume(names.map((name) => generation(name)));
const upgrade: Change = { kind: "packages", verb: "upgrade", packages: [] };

function wish(rest: Partial<ChangeWish> = {}): ChangeWish {
  const none = { force: false, neededBytes: 0, fetchBytes: 0, autoGc: false, unasked: [], allowDowngrade: false };
  return { change: upgrade, id: id("new"), ...none, ...rest };
}

function withFree(free: number, rest: Parameters<typeof volume>[1] = {}): ReturnType<typeof volume> {
  return { ...state, ...rest, space: { total: 10_000 * MiB, used: 0, free } };
}

const lines = (steps: readonly ChangeStep[]): string[] => steps.map(describeStep);
const kinds = (steps: readonly ChangeStep[]): string[] => steps.map(({ kind }) => kind);

test("a change opens a draft of slot 0, changes, compares, seals and commits", () => {
  assert.deepEqual(granted(planChange(state, wish())), [
    { kind: "open-draft", id: "new", base: "f" },
    { kind: "change", change: upgrade },
    { kind: "fstab" },
    { kind: "flush" },
    { kind: "compare" },
    { kind: "discard-unchanged" },
    { kind: "make-readable" },
    { kind: "check-draft", force: false },
    { kind: "boot-files" },
    { kind: "seal" },
    { kind: "commit", slots: ["new", "f", "e", "d"] },
  ]);
});

test("packages that would become older are refused by name, unless that is meant", () => {
  const unasked = [{ name: "musl", kind: "downgraded", from: "1.2.5-r1", to: "1.2.4-r2" } as const];
  const problem = problemIn(planChange(state, wish({ unasked })));
  assert.equal(problem.code, "E_DOWNGRADE");
  assert.match(problem.message, /musl 1\.2\.5-r1 -> 1\.2\.4-r2\.$/);
  assert.match(problem.hint ?? "", /--allow-downgrade.*firn add musl=1\.2\.4-r2/);
  const many = Array.from({ length: 20 }, (_, n) => ({ ...unasked[0]!, name: `package${n}` }));
  assert.match(problemIn(planChange(state, wish({ unasked: many }))).message, /package7 .* and 12 more\.$/);
  granted(planChange(state, wish({ unasked, allowDowngrade: true })));
});

test("words for the package manager are packages, and never options", () => {
  const packages = ["jq", "bash~5", "pkg>1.2", "pkg=1.2-r0", "pkg@tag", "!pkg", "so:libc.musl-x86_64.so.1", ".deps"];
  assert.deepEqual(planPackages("add", packages), { kind: "packages", verb: "add", packages });
  for (const word of ["--allow-untrusted", "-X", "--root=/", "", "a b", "jq\n--allow-untrusted", "\u001b[2J", "@tag"]) {
    for (const verb of ["add", "del"] as const) {
      const refused = planPackages(verb, ["jq", word]);
      assert.ok(isRefusal(refused), word);
      assert.equal(refused.problem.code, "E_USAGE");
      assert.match(refused.problem.message, new RegExp(`^firn ${verb}: `));
    }
  }
});

test("space to go back on a full volume is held in reserve by the next change, where none is", () => {
  const steps = kinds(granted(planChange({ ...state, reserve: false }, wish())));
  assert.deepEqual(steps.slice(-3), ["hold-reserve", "seal", "commit"]);
});

test("the plan says in words what each kind of change does", () => {
  const table: readonly (readonly [Change, string])[] = [
    [upgrade, "Upgrade the packages"],
    [{ kind: "packages", verb: "upgrade", packages: [], release: "v3.20" }, "Upgrade the packages to v3.20"],
    [{ kind: "packages", verb: "add", packages: ["jq", "git"] }, "Add jq git"],
    [{ kind: "packages", verb: "del", packages: ["jq"] }, "Remove jq"],
    [{ kind: "command", argv: ["touch", "/etc/x"] }, "Run touch ..."],
    [{ kind: "shell" }, "Run a shell"],
    [{ kind: "edit", file: "/etc/hosts", editor: ["vi"] }, "Edit /etc/hosts"],
    [
      { kind: "add-commons", name: "@var@lib@docker", path: "/var/lib/docker" },
      "Share /var/lib/docker between the generations as @var@lib@docker",
    ],
    [{ kind: "remove-commons", path: "/srv" }, "Stop sharing /srv"],
  ];
  for (const [change, text] of table) {
    assert.deepEqual(lines(granted(planChange(state, wish({ change })))), [
      "Open draft new from f",
      text,
      "Write its fstab",
      "Bring it to disk",
      "Look at what changed",
      "Discard it if nothing did",
      "Write anew what the boot loader could not read",
      "Check that it has what a system needs",
      "Check the boot files",
      "Seal it",
      "Make it slot 0 of 4",
    ]);
  }
});

test("another base is where the draft starts, and does not change the order of the slots", () => {
  const steps = granted(planChange(state, wish({ base: id("b") })));
  assert.deepEqual(steps[0], { kind: "open-draft", id: "new", base: "b" });
  assert.deepEqual(steps.at(-1), { kind: "commit", slots: ["new", "f", "e", "d"] });
});

test("what runs is no base: pending changes stack", () => {
  const [open] = granted(planChange({ ...state, booted: id("c") }, wish()));
  assert.deepEqual(open, { kind: "open-draft", id: "new", base: "f" });
});

test("without a default there is nothing to start from, unless a base is named: then every slot is filled", () => {
  const lost = { ...state, slots: [], slotCount: 0 };
  const problem = problemIn(planChange(lost, wish()));
  assert.deepEqual([problem.code, problem.hint], ["E_NOT_A_VOLUME", "`firn switch GEN` sets one."]);
  const steps = granted(planChange(lost, wish({ base: id("b") })));
  assert.deepEqual(steps.at(-1), { kind: "commit", slots: ["new", "new", "new", "new"] });
});

test("drafts of runs that ended early go first", () => {
  const one = granted(planChange({ ...state, drafts: ["x.draft"] }, wish()));
  assert.equal(lines(one)[0], "Delete the draft of a run that ended early: x.draft");
  const two = granted(planChange({ ...state, drafts: ["x.draft", "y.draft"] }, wish()));
  assert.equal(lines(two)[1], "Delete the draft of a run that ended early: y.draft");
  assert.deepEqual(kinds(two).slice(0, 3), ["delete-draft", "delete-draft", "open-draft"]);
});

test("many changes before a reboot never push what runs, or the last known good one, out of the menu", () => {
  const running = { ...state, booted: id("c") };
  assert.deepEqual(granted(planChange(running, wish())).at(-1), { kind: "commit", slots: ["new", "f", "e", "c"] });
  const good = volume([generation("a", { verdict: "good" }), ...state.generations.slice(1)]);
  assert.deepEqual(granted(planChange(good, wish())).at(-1), { kind: "commit", slots: ["new", "f", "e", "a"] });
});

test("where nothing says what boots, nothing makes room", () => {
  const lost = { ...withFree(0), slots: [], slotCount: 0 };
  assert.equal(problemIn(planChange(lost, wish({ base: id("b"), autoGc: true }))).code, "E_NO_SPACE");
});

test("a forced generation is kept even if nothing changed: no step discards it", () => {
  assert.ok(kinds(granted(planChange(state, wish()))).includes("discard-unchanged"));
  assert.ok(!kinds(granted(planChange(state, wish({ force: true })))).includes("discard-unchanged"));
});

test("what must come over the network is fetched before a draft is opened, and said", () => {
  const steps = granted(planChange(state, wish({ fetchBytes: 12 * MiB })));
  assert.deepEqual(kinds(steps).slice(0, 2), ["fetch", "open-draft"]);
  assert.equal(lines(steps)[0], "Fetch 12 MiB");
});

test("the space that a change needs is its own and the overhead, to the byte", () => {
  const needed = GENERATION_OVERHEAD + 100 * MiB;
  const change = wish({ neededBytes: 100 * MiB });
  assert.equal(kinds(granted(planChange(withFree(needed), change)))[0], "open-draft");
  const problem = problemIn(planChange(withFree(needed - 1), change));
  assert.equal(problem.code, "E_NO_SPACE");
  assert.equal(problem.message, "This needs 132 MiB, and 132 MiB are free.");
});

test("a refusal for space names what could go and the command that does it, whatever count and age would keep", () => {
  const full = withFree(0, { booted: id("a") });
  const problem = problemIn(planChange(full, wish({ neededBytes: 100 * MiB })));
  assert.equal(
    problem.hint,
    "These could go: b. `firn gc --free 132M` deletes the oldest of them; auto-gc = true in /etc/firn/firn.toml does it by itself.",
  );
});

test("with auto-gc that goes before the draft is opened, and old link sets with it", () => {
  const full = withFree(0, { booted: id("a"), oldLinkSets: ["L" as never], drafts: ["x.draft"] });
  const steps = granted(planChange(full, wish({ autoGc: true })));
  const room = ["delete-draft", "delete-link-sets", "await-space", "delete-while-short", "flush", "require-space"];
  assert.deepEqual(kinds(steps).slice(0, 7), [...room, "open-draft"]);
  assert.deepEqual(steps[1], { kind: "delete-link-sets", ids: ["L"] });
  assert.deepEqual(steps[3], { kind: "delete-while-short", name: "b", target: GENERATION_OVERHEAD });
});

test("a folder that somebody put beside the generations never makes room", () => {
  const full = { ...withFree(0), generations: [generation("my-notes", {}, false), ...state.generations.slice(2)] };
  assert.equal(problemIn(planChange(full, wish({ autoGc: true }))).code, "E_NO_SPACE");
});

test("the base makes no room for its own successor", () => {
  const full = withFree(0);
  const steps = granted(planChange(full, wish({ autoGc: true, base: id("a") })));
  assert.deepEqual(
    steps.flatMap((step) => (step.kind === "delete-while-short" ? [step.name] : [])),
    ["b"],
  );
});

test("auto-gc never runs while there is space", () => {
  assert.equal(kinds(granted(planChange(state, wish({ autoGc: true }))))[0], "open-draft");
});

test("when nothing may go, space is refused, with auto-gc too", () => {
  const full = { ...withFree(0), generations: state.generations.slice(2) };
  for (const autoGc of [false, true]) {
    const problem = problemIn(planChange(full, wish({ autoGc })));
    assert.equal(problem.code, "E_NO_SPACE");
    assert.match(problem.hint!, /^Every generation is in a slot/);
  }
});

test("to make room, neither the base nor a generation that must be kept is deleted; slot 0 is the new one", () => {
  fc.assert(
    fc.property(anyVolume, fc.nat(), fc.boolean(), fc.boolean(), (any, at, named, autoGc) => {
      const base = any.generations[at % any.generations.length]!.id;
      const fresh = idAt(now + DAY, 50);
      const planned = planChange(any, wish({ id: fresh, autoGc, neededBytes: 5000 * MiB, ...(named ? { base } : {}) }));
      if (isRefusal(planned)) return;
      for (const step of planned) {
        if (step.kind === "delete" || step.kind === "delete-while-short") {
          assert.ok(autoGc);
          assert.ok(!mustKeep(any).has(id(step.name)));
          assert.notEqual(step.name, named ? base : any.slots[0]);
        }
        if (step.kind !== "commit") continue;
        assert.equal(step.slots[0], fresh);
        assert.equal(step.slots.length, any.slotCount || 4);
      }
    }),
  );
});
