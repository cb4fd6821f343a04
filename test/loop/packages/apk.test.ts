import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createKey } from "../../../scripts/apk/sign.ts";
import { buildPackage } from "../../../scripts/apk/package.ts";
import { writeIndex } from "../../../scripts/apk/index.ts";
import { diffPackages, type PackageChange } from "../../../src/model/packages/changes.ts";
import { filesOf, packageList } from "../../../src/model/packages/database.ts";
import type { Call } from "../../kit/probes/apk-probe.ts";
import {
  bootstrap,
  call,
  close,
  copyOf,
  folder,
  keys,
  mirror,
  open,
  refused,
  requested,
  root,
  server,
  skip,
  tamper,
  url,
  v3191,
  work,
} from "../../kit/probes/apk-world.ts";

/** Words of apk's, from a script that borrows them. */
const LIES = [
  "ERROR: only words",
  "ERROR: Unable to lock database: temporary error",
  "WARNING: Ignoring http://evil/x: UNTRUSTED signature",
  "ERROR: jq-1.7-r0: UNTRUSTED signature\\n",
].join("\\n");

before(open);
after(close);

const database = (): string => readFileSync(join(root, "lib/apk/db/installed"), "utf8");

test(
  "apk, fetched and verified by firn alone, installs alpine-base, and what it was said to do is what it did",
  { skip },
  async () => {
    const target = { root, repositories: [v3191], keysDir: keys, arch: "x86_64" };
    const args = ["--initdb", "add", "alpine-base"];
    const { simulation } = await call({ ...bootstrap([v3191]), target, do: "simulate", args });
    assert.deepEqual(readdirSync(root), [], "a simulation writes nothing");
    const done = await call({ ...bootstrap([v3191]), target, do: "apk", args });
    assert.equal(done.problem, undefined);
    const installed = packageList(database());
    assert.deepEqual(diffPackages([], installed), done.apk?.changes);
    assert.deepEqual(simulation?.changes, done.apk?.changes);
    assert.equal(
      simulation?.installedBytesDelta,
      installed.reduce((sum, { installedBytes }) => sum + installedBytes, 0),
    );
    assert.equal(simulation?.downloadBytes, 0);
    assert.equal(done.steps?.length, 25);
    assert.match(done.steps?.[24] ?? "", /^25\/25 Installing alpine-base/);
    const files = filesOf(database(), new Set(["busybox", "nonesuch"]));
    assert.deepEqual([...files.keys()], ["busybox"]);
    assert.ok(files.get("busybox")?.some(({ path, hash }) => path === "bin/busybox" && hash.startsWith("Q1")));
    assert.ok(!execFileSync("cat", ["/proc/self/mountinfo"], { encoding: "utf8" }).includes(work), "no mount is left");
  },
);

test("apk is fetched over HTTP, kept in the cache, and a damaged cache is fetched again", { skip }, async () => {
  requested();
  const wish = bootstrap([`${url}/v3.19.1`]);
  assert.ok((await call(wish)).argv);
  const fetched = requested().filter((path) => path.endsWith(".apk")).length;
  assert.ok(fetched >= 5, `${fetched} packages`);
  requested();
  assert.ok((await call(wish)).argv);
  assert.deepEqual(requested(), ["/v3.19.1/x86_64/APKINDEX.tar.gz"], "the second time only the index is fetched");
  const cached = readdirSync(join(work, "cache")).find((name) => name.startsWith("zlib-"));
  assert.ok(cached);
  writeFileSync(join(work, "cache", cached), "not a package");
  requested();
  assert.ok((await call(wish)).argv);
  assert.deepEqual(
    requested()
      .slice(1)
      .map((path) => path.replace(/-\d.*/, "")),
    ["/v3.19.1/x86_64/zlib"],
  );
});

test(
  "the bootstrap refuses an index or a package that is not what was signed, before anything of it runs",
  { skip },
  async () => {
    const empty = folder("no-keys");
    await refused({ keys: { into: join(work, "k"), keysDir: empty } }, "E_SIGNATURE", /no public key/);
    await refused({ keys: { into: join(work, "k"), keysDir: join(work, "nonesuch") } }, "E_SIGNATURE", /no public key/);
    await refused(bootstrap([v3191], empty), "E_SIGNATURE", /6165ee59\.rsa\.pub/, /known keys: none/, /--keys-dir/);
    const { keys: shipped } = await call({ keys: { into: join(work, "shipped"), from: [] } });
    assert.equal(shipped?.length, 5);
    assert.ok((await call(bootstrap([v3191], join(work, "shipped")))).argv, "Alpine's own keys ship with firn");
    await refused(bootstrap([join(mirror, "extras")], join(work, "shipped")), "E_SIGNATURE", /fixture\.rsa\.pub/);

    const index = copyOf("tampered-index");
    tamper(index, "APKINDEX.tar.gz", -3000);
    await refused(bootstrap([index]), "E_SIGNATURE", /does not verify/);
    const data = copyOf("tampered-data");
    tamper(data, "apk-tools-2.14.0-r5.apk", -3000);
    await refused(bootstrap([data]), "E_SIGNATURE", /apk-tools-2\.14\.0-r5/, /files in the package/);
    const control = copyOf("tampered-control");
    tamper(control, "musl-1.2.4_git20230717-r4.apk", 900);
    await refused(bootstrap([control]), "E_SIGNATURE", /musl-1\.2\.4/);
    const signature = copyOf("foreign-key");
    cpSync(keys, join(work, "wrong"), { recursive: true });
    cpSync(join(keys, "fixture.rsa.pub"), join(work, "wrong/alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub"));
    await refused(bootstrap([signature], join(work, "wrong")), "E_SIGNATURE", /does not verify/);
  },
);

test("a mirror that cannot be reached, or has no apk, is named", { skip }, async () => {
  await refused(
    bootstrap(["http://127.0.0.1:1"]),
    "E_MIRROR",
    /http:\/\/127\.0\.0\.1:1\/x86_64\/APKINDEX\.tar\.gz/,
    /refused/i,
  );
  await refused(bootstrap([`${url}/nothere`]), "E_MIRROR", /nothere/, /404/);
  await refused(bootstrap([join(work, "nothere")]), "E_MIRROR", /nothere/);
  await refused(bootstrap([join(mirror, "extras")]), "E_MIRROR", /apk-tools-static/);
});

test(
  "what apk only warns of is an error: each repository that is missing, unreachable, untrusted or damaged",
  { skip },
  async () => {
    const base = bootstrap([v3191]);
    const ask = (repository: string, keysDir = keys): Call => ({
      ...base,
      target: { root, repositories: [v3191, repository], keysDir },
      do: "apk",
      args: ["upgrade"],
    });
    const index = copyOf("tampered-again");
    tamper(index, "APKINDEX.tar.gz", -3000);
    const trust = join(work, "shipped-only");
    await call({ keys: { into: trust, from: [] } });
    const verify = (what: Call): Call => ({ ...what, do: "verify" });
    for (const change of [(what: Call) => what, verify, (what: Call): Call => ({ ...what, do: "simulate" })]) {
      await refused(change(ask(join(work, "nonesuch"))), "E_MIRROR", /nonesuch/);
      await refused(change(ask("http://127.0.0.1:1/a")), "E_MIRROR", /http:\/\/127\.0\.0\.1:1\/a/);
      await refused(change(ask(`${url}/nothere`)), "E_MIRROR", /nothere/);
      await refused(change(ask(index)), "E_SIGNATURE", /tampered-again/);
      await refused(change(ask(join(mirror, "extras"), trust)), "E_SIGNATURE", /extras/, /Known keys: alpine/);
    }
    assert.equal((await call(verify(ask(join(mirror, "extras"))))).problem, undefined);
  },
);

test("a package that does not exist is refused with near names, before and during a change", { skip }, async () => {
  const target = { root, repositories: [v3191], keysDir: keys };
  for (const what of ["simulate", "apk"] as const) {
    await refused(
      { ...bootstrap([v3191]), target, do: what, args: ["add", "alpine-bse"] },
      "E_PACKAGE_MISSING",
      /alpine-bse/,
      /perhaps alpine-base/,
    );
    await refused(
      { ...bootstrap([v3191]), target, do: what, args: ["del", "nonesuchthing"] },
      "E_PACKAGE_MISSING",
      /nonesuchthing/,
    );
    await refused({ ...bootstrap([v3191]), target, do: what, args: ["add", "musl>99"] }, "E_PACKAGE_CONFLICT", /musl/);
  }
});

test("apk fetch takes a tampered package without a word; firn does not", { skip }, async () => {
  const into = folder("fetched");
  const good = { root, repositories: [v3191], keysDir: keys };
  const done = await call({ ...bootstrap([v3191]), target: good, do: "fetch", args: ["kbd-bkeymaps"], into });
  assert.equal(done.problem, undefined);
  assert.ok(done.list?.some((path) => path.endsWith(".bmap.gz")));
  assert.ok(existsSync(join(into, "usr/share/bkeymaps/us/us.bmap.gz")));
  for (const at of [900, -2000]) {
    const bad = copyOf(`tampered-keymaps${at}`);
    tamper(bad, "kbd-bkeymaps-2.6.3-r0.apk", at);
    const target = { root, repositories: [bad], keysDir: keys };
    await refused(
      { ...bootstrap([v3191]), target, do: "fetch", args: ["kbd-bkeymaps"], into: folder(`f${at}`) },
      "E_SIGNATURE",
      /kbd-bkeymaps/,
    );
  }
  await refused(
    { ...bootstrap([v3191]), target: good, do: "fetch", args: ["kbd-bkeymap"], into },
    "E_PACKAGE_MISSING",
    /perhaps kbd-bkeymaps|kbd-bkeymap/,
  );
  const gone = copyOf("stale");
  unlinkSync(join(gone, "x86_64/chrony-4.5-r0.apk"));
  const stale = { root, repositories: [gone], keysDir: keys };
  await refused(
    { ...bootstrap([v3191]), target: stale, do: "fetch", args: ["chrony"], into },
    "E_MIRROR_STALE",
    /chrony/,
  );
});

test("each way in which a package can fail has its own code", { skip }, async () => {
  const repository = join(work, "troubles");
  const signer = createKey(folder("signer"), "troubles", { bits: 2048 });
  cpSync(join(work, "signer/troubles.rsa.pub"), join(keys, "troubles.rsa.pub"));
  const make = (name: string, extra: object = {}): ReturnType<typeof buildPackage> =>
    buildPackage(
      {
        name,
        version: "1.0-r0",
        description: name,
        entries: [{ type: "file", path: `usr/share/${name}`, mode: 0o644, source: { bytes: Buffer.from(name) } }],
        ...extra,
      },
      folder("troubles/x86_64"),
      signer,
    );
  const shared = [{ type: "file", path: "usr/share/same", mode: 0o644, source: { bytes: Buffer.from("same") } }];
  writeIndex(
    folder("troubles/x86_64"),
    [
      await make("pre-fails", { scripts: { "pre-install": "#!/bin/sh\necho told you >&2\nexit 3\n" } }),
      await make("post-fails", { scripts: { "post-install": "#!/bin/sh\nexit 1\n" } }),
      await make("talks", { scripts: { "post-install": `#!/bin/sh\nprintf "${LIES}" >&2\n` } }),
      await make("floods", { scripts: { "post-install": "#!/bin/sh\nhead -c 1200000000 /dev/zero >&2\n" } }),
      await make("trigger-fails", { scripts: { trigger: "#!/bin/sh\nexit 5\n" }, triggers: ["/usr/share"] }),
      await make("one", { entries: shared }),
      await make("two", { entries: shared }),
      await make("not-b", { depends: ["!b"] }),
      await make("b"),
      await make("needs-none", { depends: ["so:libnone.so.1"] }),
      await make("big", { entries: [{ ...shared[0], source: { bytes: Buffer.alloc(6_000_000, 7) } }] }),
    ],
    signer,
    "troubles",
  );
  const clean = folder("clean");
  execFileSync("cp", ["-a", `${root}/.`, clean]);
  const fresh = (): string => {
    const path = mkdtempSync(join(work, "fresh-"));
    execFileSync("cp", ["-a", `${clean}/.`, path]);
    return path;
  };
  const add = (at: string, ...packages: string[]): Call => ({
    ...bootstrap([v3191]),
    target: { root: at, repositories: [v3191, repository], keysDir: keys },
    do: "apk",
    args: ["add", ...packages],
  });
  const failed = fresh();
  await refused(
    add(failed, "pre-fails"),
    "E_PACKAGE_SCRIPT",
    /pre-fails-1\.0-r0: its pre-install script exited with error 3/,
    /told you/,
  );
  await refused(add(failed, "b"), "E_PACKAGE_SCRIPT", /earlier run/, /apk fix pre-fails/);
  await refused(add(fresh(), "post-fails"), "E_PACKAGE_SCRIPT", /post-install script/);
  await refused(add(fresh(), "trigger-fails"), "E_PACKAGE_SCRIPT", /trigger script exited with error 5/);
  await refused(add(fresh(), "one", "two"), "E_PACKAGE_CONFLICT", /usr\/share\/same/);
  await refused(add(fresh(), "not-b", "b"), "E_PACKAGE_CONFLICT", /not-b/);
  await refused(add(fresh(), "needs-none"), "E_PACKAGE_MISSING", /so:libnone\.so\.1 \(needed by needs-none-1\.0-r0\)/);
  const talk = await call(add(fresh(), "talks"));
  assert.equal(talk.problem, undefined, "what a script says is no error");
  assert.equal(talk.apk?.notes.length, 4);
  const flood = await call(add(fresh(), "floods"));
  assert.equal(flood.problem, undefined, "what a script prints has no end that firn would wait for in memory");
  assert.ok(flood.apk?.notes.some((note) => note.endsWith("bytes are left out here)")));

  const small = folder("small");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=14m", "none", small]);
  try {
    execFileSync("cp", ["-a", `${clean}/.`, small]);
    await refused(add(small, "big"), "E_NO_SPACE");
    execFileSync("mount", ["-o", "remount,ro", small]);
    await refused(add(small, "b"), "E_VOLUME_READONLY");
  } finally {
    execFileSync("umount", [small]);
  }
  const lock = folder("locked");
  execFileSync("cp", ["-a", `${clean}/.`, lock]);
  const holder = execFile("flock", [join(lock, "lib/apk/db/lock"), "sleep", "30"]);
  try {
    await new Promise((resolve) => setTimeout(resolve, 300));
    await refused(add(lock, "b"), "E_LOCKED");
  } finally {
    execFileSync("pkill", ["-P", String(holder.pid)]);
  }
});

test(
  "on a read-only root the upgrade is simulated and fetched; then it needs no network, and replaces apk itself",
  { skip },
  async () => {
    const fixed = folder("sealed");
    const writable = folder("writable");
    execFileSync("cp", ["-a", `${root}/.`, writable]);
    const mounts: string[] = [];
    const mount = (...args: string[]): void => {
      execFileSync("mount", args);
      mounts.push(args.at(-1) ?? "");
    };
    const cache = folder("shared-cache");
    const target = {
      chroot: fixed,
      repositories: [`${url}/v3.19.1`, `${url}/v3.20.3`],
      keysDir: "/run/keys",
      cacheDir: "/var/cache/apk",
    };
    const args = ["upgrade", "--available"];
    const enter = (): void => {
      mount("-t", "tmpfs", "none", join(fixed, "run"));
      mount("-t", "tmpfs", "none", join(fixed, "tmp"));
      mount("-t", "proc", "none", join(fixed, "proc"));
      mount("--bind", "/dev", join(fixed, "dev"));
      mkdirSync(join(fixed, "var/cache/apk"), { recursive: true });
      mount("--bind", cache, join(fixed, "var/cache/apk"));
      cpSync(keys, join(fixed, "run/keys"), { recursive: true });
    };
    const leave = (): void => {
      for (let path = mounts.pop(); path !== undefined; path = mounts.pop()) execFileSync("umount", [path]);
    };
    try {
      mkdirSync(join(writable, "var/cache/apk"), { recursive: true });
      mount("--bind", writable, fixed);
      mount("-o", "remount,bind,ro", fixed);
      mounts.pop();
      enter();
      const { simulation, problem } = await call({ target, do: "simulate", args });
      assert.equal(problem, undefined);
      const of = (name: string): PackageChange | undefined =>
        simulation?.changes.find((change) => change.name === name);
      assert.deepEqual(of("apk-tools"), { name: "apk-tools", kind: "upgraded", from: "2.14.0-r5", to: "2.14.4-r0" });
      assert.ok((simulation?.downloadBytes ?? 0) > 1_000_000);
      requested();
      assert.equal((await call({ target, do: "predownload", args })).bytes, simulation?.downloadBytes);
      assert.ok(
        requested()
          .filter((path) => path.endsWith(".apk"))
          .every((path) => path.startsWith("/v3.20.3/")),
        "nothing that stays as it is",
      );
      assert.deepEqual((await call({ target, do: "simulate", args })).simulation, { ...simulation, downloadBytes: 0 });
      leave();

      mount("--bind", writable, fixed);
      enter();
      requested();
      const done = await call({ target, do: "apk", args });
      assert.equal(done.problem, undefined);
      assert.deepEqual(
        requested().filter((path) => path.endsWith(".apk")),
        [],
        "every package came from the cache",
      );
      assert.deepEqual(done.apk?.changes, simulation?.changes, "two phases of a self-upgrade, one list of changes");
      const upgraded = packageList(readFileSync(join(writable, "lib/apk/db/installed"), "utf8"));
      assert.deepEqual(diffPackages(packageList(database()), upgraded), done.apk?.changes);
    } finally {
      leave();
    }
  },
);

test("without network a fetched index that grew old is an error, not a quiet success", { skip }, async () => {
  const cacheDir = folder("old-cache");
  const target = { root, repositories: [`${url}/v3.19.1`], keysDir: keys, cacheDir };
  const base = bootstrap([v3191]);
  assert.equal((await call({ ...base, target, do: "verify" })).problem, undefined);
  const port = (server.address() as AddressInfo).port;
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  try {
    await refused({ ...base, target, do: "verify" }, "E_MIRROR", /could not connect/);
  } finally {
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  }
});
