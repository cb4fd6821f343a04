import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  commonsName,
  commonsPath,
  defaultCommons,
  mountOrder,
  parseCommonsPath,
  validateCommons,
  type CommonsPath,
} from "../../../src/model/volume/commons.ts";
import { isRefusal } from "../../../src/model/problem.ts";

function path(text: string): CommonsPath {
  const parsed = parseCommonsPath(text);
  assert.ok(!isRefusal(parsed), text);
  return parsed;
}

test("a commons is named by its path with @ for /", () => {
  assert.equal(commonsName(path("/var/log")), "@var@log");
  assert.equal(commonsName(path("/home")), "@home");
  assert.equal(commonsPath("@var@log"), "/var/log");
  for (const foreign of ["@", "var@log", "@var@@log", "@etc", "@..", "@a/b", ""]) {
    assert.equal(commonsPath(foreign), undefined, foreign);
  }
});

test("every commons path comes back from its name", () => {
  const component = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/).filter((part) => part !== "." && part !== "..");
  fc.assert(
    fc.property(fc.array(component, { minLength: 1, maxLength: 6 }), (parts) => {
      const parsed = parseCommonsPath(`/${parts.join("/")}`);
      fc.pre(!isRefusal(parsed));
      assert.equal(commonsPath(commonsName(parsed)), parsed);
    }),
  );
});

test("no text whatever mints a path that leaves the root or that a name cannot hold", () => {
  const text = fc.string({ unit: fc.constantFrom("/", ".", "..", "@", "a", "var", " ", "-", "\n"), maxLength: 8 });
  fc.assert(
    fc.property(text, (input) => {
      const parsed = parseCommonsPath(input);
      if (isRefusal(parsed)) return;
      assert.match(parsed, /^(\/[A-Za-z0-9._-]+)+$/);
      assert.ok(!parsed.split("/").some((part) => part === "." || part === ".."));
    }),
    { numRuns: 1000 },
  );
});

test("the defaults are the wiki page’s and what a read-only Alpine needs beside them, parents first", () => {
  assert.deepEqual(defaultCommons(), [
    "/home",
    "/root",
    "/srv",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
  ]);
  assert.ok(defaultCommons().every((one) => !isRefusal(parseCommonsPath(one))));
  assert.deepEqual(validateCommons([]), defaultCommons());
});

test("docker, flatpak, /opt and /usr/local may be commons", () => {
  const wanted = ["/var/lib/flatpak", "/opt", "/var/lib/docker", "/usr/local", "/home", "/opt"];
  assert.deepEqual(validateCommons(wanted), [
    "/home",
    "/opt",
    "/root",
    "/srv",
    "/usr/local",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/spool",
    "/var/tmp",
    "/var/lib/docker",
    "/var/lib/flatpak",
  ]);
});

test("a bad path for a commons is refused with the reason and the way out", () => {
  const boot = "belongs to the root: the system cannot boot when generations share it.";
  const table: [string[], string][] = [
    [[""], "is empty. Write an absolute path such as /var/lib/docker."],
    [["var/lib/docker"], '"var/lib/docker" is relative. Write an absolute path such as /var/lib/docker.'],
    [["/"], '"/" is the root, which every generation has for itself. Name a folder below it.'],
    [["/var/lib/../x"], '"/var/lib/../x" contains "..". Write the path that is meant.'],
    [["/opt/"], '"/opt/" is not written straight. Write "/opt".'],
    [["//opt/./a"], '"//opt/./a" is not written straight. Write "/opt/a".'],
    [
      ["/opt/a@b"],
      '"/opt/a@b" contains "@", which stands for "/" in the name of a commons. Use letters, digits, ".", "_" and "-".',
    ],
    [["/opt/a b"], '"/opt/a b" contains "a b". Use letters, digits, ".", "_" and "-".'],
    [["/etc/ssh"], `"/etc/ssh" ${boot} Choose another path.`],
    [["/usr"], `"/usr" ${boot} Choose another path.`],
    [["/usr/lib"], `"/usr/lib" ${boot} Choose another path.`],
    [["/var"], '"/var" holds folders that are shared by themselves. Name the folder below it that is meant.'],
    [["/var/run"], '"/var/run" is laid down by Alpine\'s base system. Choose another path.'],
    [["/home/alex"], '"/home/alex" is shared already, because /home is a commons. Leave it out.'],
    [
      ["/var/lib/docker", "/var/lib/docker/volumes"],
      '"/var/lib/docker/volumes" is shared already, because /var/lib/docker is a commons. Leave it out.',
    ],
    [["/opt/a", "/opt"], '"/opt" holds /opt/a, which is a commons of its own. Keep one of /opt and /opt/a.'],
  ];
  for (const [wanted, message] of table) {
    const result = validateCommons(wanted);
    assert.ok(isRefusal(result), wanted.join());
    assert.equal(`${result.problem.message} ${result.problem.hint}`, message);
  }
  for (const needed of [
    "/boot",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr",
    "/etc",
    "/dev",
    "/proc",
    "/sys",
    "/run",
    "/tmp",
  ]) {
    assert.ok(isRefusal(validateCommons([needed])), needed);
    assert.ok(isRefusal(validateCommons([`${needed}/x`])), `${needed}/x`);
    assert.ok(!isRefusal(validateCommons([`${needed}x`])), `${needed}x`);
  }
});

test("a path is added to the commons that a volume has, not to the defaults", () => {
  const page = ["/var/tmp", "/var/cache", "/var/log", "/home"].map(path);
  const added = validateCommons(["/var/lib"], [...page, path("/var/lib/docker")]);
  assert.deepEqual(added, ["/home", "/var/cache", "/var/lib", "/var/log", "/var/tmp", "/var/lib/docker"]);
});

test("mount order puts every parent before its children, whatever the input’s order", () => {
  const pool = ["/opt", "/var/lib", "/var/lib/docker", "/var/lib/flatpak", "/home", "/srv"].map(path);
  fc.assert(
    fc.property(fc.shuffledSubarray(pool), (paths) => {
      const order = mountOrder(paths);
      assert.deepEqual([...order].sort(), [...paths].sort());
      for (const [i, one] of order.entries()) {
        assert.ok(!order.slice(i + 1).some((later) => one.startsWith(`${later}/`)));
      }
    }),
  );
});
