import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createKey } from "../../scripts/apk/sign.ts";
import { buildPackage } from "../../scripts/apk/package.ts";
import { writeIndex } from "../../scripts/apk/index.ts";
import { buildFirn } from "../../scripts/build.ts";
import { diffPackages, type PackageChange } from "../../src/model/apk/changes.ts";
import { filesOf, packageList } from "../../src/model/apk/database.ts";
import { compareVersions } from "../../src/model/apk/version.ts";
import { exitCodes, type Problem } from "../../src/model/problem.ts";
import type { Call } from "./probes/apk.ts";

const here = dirname(fileURLToPath(import.meta.url));
const mirror = join(here, "../../../shared/alpine");
const skip = process.getuid?.() !== 0 ? "needs root" : !existsSync(mirror) && "needs the real packages in ../shared/alpine";

interface Answer {
  problem?: Problem;
  keys?: string[];
  argv?: string[];
  steps?: string[];
  apk?: { lines: string[]; notes: string[]; changes: PackageChange[] };
  simulation?: { changes: PackageChange[]; installedBytesDelta: number; downloadBytes: number };
  names?: string[];
  file?: string;
  list?: string[];
  bytes?: number;
}

let work = "";
let probe = "";
let keys = "";
let root = "";
let server: Server;
let url = "";
let requests: string[] = [];

function call(what: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(probe, [JSON.stringify(what)], { maxBuffer: 1 << 26 }, (_, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Answer);
      } catch {
        reject(new Error(`the probe said: ${stdout}${stderr}`));
      }
    });
  });
}

function folder(name: string): string {
  const path = join(work, name);
  mkdirSync(path, { recursive: true });
  return path;
}

const v3191 = join(mirror, "v3.19.1");
const bootstrap = (repositories: readonly string[], keysDir = keys): Call => ({
  bootstrap: { repositories, keysDir, cacheDir: folder("cache") },
});

/** A copy of a repository, with links to the packages, whose files can be replaced. */
function copyOf(name: string, source = v3191): string {
  const path = folder(join(name, "x86_64"));
  for (const file of readdirSync(join(source, "x86_64"))) symlinkSync(join(source, "x86_64", file), join(path, file));
  return join(work, name);
}

/** Replaces one file of such a copy by one in which a single bit differs. `at` below 0 counts from the end. */
function tamper(repository: string, file: string, at: number): void {
  const path = join(repository, "x86_64", file);
  const bytes = readFileSync(path);
  unlinkSync(path);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function refused(what: Call, code: keyof typeof exitCodes, ...words: RegExp[]): Promise<Problem> {
  const { problem } = await call(what);
  assert.ok(problem, `nothing was refused; expected ${code}`);
  assert.equal(problem.code, code, problem.message);
  for (const word of words) assert.match(`${problem.message} ${problem.hint ?? ""}`, word);
  return problem;
}

before(async () => {
  if (skip) return;
  work = mkdtempSync(join(tmpdir(), "firn-apk-test-"));
  probe = await buildFirn(join(here, "probes/apk.ts"), join(work, "probe"));
  keys = join(work, "keys");
  root = folder("root");
  await call({ keys: { into: keys, from: [], keysDir: join(mirror, "keys") } });
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const file = join(mirror, decodeURIComponent(request.url ?? ""));
    if (!existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200).end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(() => {
  server?.close();
  if (work !== "") rmSync(work, { recursive: true, force: true });
});

const database = (): string => readFileSync(join(root, "lib/apk/db/installed"), "utf8");

test("apk, fetched and verified by firn alone, installs alpine-base, and what it was said to do is what it did", { skip }, async () => {
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
});

test("apk is fetched over HTTP, kept in the cache, and a damaged cache is fetched again", { skip }, async () => {
  requests = [];
  const wish = bootstrap([`${url}/v3.19.1`]);
  assert.ok((await call(wish)).argv);
  const fetched = requests.filter((path) => path.endsWith(".apk")).length;
  assert.ok(fetched >= 5, `${fetched} packages`);
  requests = [];
  assert.ok((await call(wish)).argv);
  assert.deepEqual(requests, ["/v3.19.1/x86_64/APKINDEX.tar.gz"], "the second time only the index is fetched");
  const cached = readdirSync(join(work, "cache")).find((name) => name.startsWith("zlib-"));
  assert.ok(cached);
  writeFileSync(join(work, "cache", cached), "not a package");
  requests = [];
  assert.ok((await call(wish)).argv);
  assert.deepEqual(requests.slice(1).map((path) => path.replace(/-\d.*/, "")), ["/v3.19.1/x86_64/zlib"]);
});

test("the bootstrap refuses an index or a package that is not what was signed, before anything of it runs", { skip }, async () => {
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
});

test("a mirror that cannot be reached, or has no apk, is named", { skip }, async () => {
  await refused(bootstrap(["http://127.0.0.1:1"]), "E_MIRROR", /http:\/\/127\.0\.0\.1:1\/x86_64\/APKINDEX\.tar\.gz/, /refused/i);
  await refused(bootstrap([`${url}/nothere`]), "E_MIRROR", /nothere/, /404/);
  await refused(bootstrap([join(work, "nothere")]), "E_MIRROR", /nothere/);
  await refused(bootstrap([join(mirror, "extras")]), "E_MIRROR", /apk-tools-static/);
});

test("what apk only warns of is an error: each repository that is missing, unreachable, untrusted or damaged", { skip }, async () => {
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
});

test("a package that does not exist is refused with near names, before and during a change", { skip }, async () => {
  const target = { root, repositories: [v3191], keysDir: keys };
  for (const what of ["simulate", "apk"] as const) {
    await refused({ ...bootstrap([v3191]), target, do: what, args: ["add", "alpine-bse"] }, "E_PACKAGE_MISSING", /alpine-bse/, /perhaps alpine-base/);
    await refused({ ...bootstrap([v3191]), target, do: what, args: ["del", "nonesuchthing"] }, "E_PACKAGE_MISSING", /nonesuchthing/);
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
    await refused({ ...bootstrap([v3191]), target, do: "fetch", args: ["kbd-bkeymaps"], into: folder(`f${at}`) }, "E_SIGNATURE", /kbd-bkeymaps/);
  }
  await refused({ ...bootstrap([v3191]), target: good, do: "fetch", args: ["kbd-bkeymap"], into }, "E_PACKAGE_MISSING", /perhaps kbd-bkeymaps|kbd-bkeymap/);
  const gone = copyOf("stale");
  unlinkSync(join(gone, "x86_64/chrony-4.5-r0.apk"));
  const stale = { root, repositories: [gone], keysDir: keys };
  await refused({ ...bootstrap([v3191]), target: stale, do: "fetch", args: ["chrony"], into }, "E_MIRROR_STALE", /chrony/);
});

test("each way in which a package can fail has its own code", { skip }, async () => {
  const repository = join(work, "troubles");
  const signer = createKey(folder("signer"), "troubles", { bits: 2048 });
  cpSync(join(work, "signer/troubles.rsa.pub"), join(keys, "troubles.rsa.pub"));
  const make = (name: string, extra: object = {}): ReturnType<typeof buildPackage> =>
    buildPackage(
      { name, version: "1.0-r0", description: name, entries: [{ type: "file", path: `usr/share/${name}`, mode: 0o644, source: { bytes: Buffer.from(name) } }], ...extra } as Parameters<typeof buildPackage>[0],
      folder("troubles/x86_64"),
      signer,
    );
  const shared = [{ type: "file", path: "usr/share/same", mode: 0o644, source: { bytes: Buffer.from("same") } }];
  writeIndex(
    folder("troubles/x86_64"),
    [
      await make("pre-fails", { scripts: { "pre-install": "#!/bin/sh\necho told you >&2\nexit 3\n" } }),
      await make("post-fails", { scripts: { "post-install": "#!/bin/sh\nexit 1\n" } }),
      await make("talks", { scripts: { "post-install": "#!/bin/sh\necho ERROR: only words >&2\nexit 0\n" } }),
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
  await refused(add(failed, "pre-fails"), "E_PACKAGE_SCRIPT", /pre-fails-1\.0-r0: its pre-install script exited with error 3/, /told you/);
  await refused(add(failed, "b"), "E_PACKAGE_SCRIPT", /earlier run/, /apk fix pre-fails/);
  await refused(add(fresh(), "post-fails"), "E_PACKAGE_SCRIPT", /post-install script/);
  await refused(add(fresh(), "trigger-fails"), "E_PACKAGE_SCRIPT", /trigger script exited with error 5/);
  await refused(add(fresh(), "one", "two"), "E_PACKAGE_CONFLICT", /usr\/share\/same/);
  await refused(add(fresh(), "not-b", "b"), "E_PACKAGE_CONFLICT", /not-b/);
  await refused(add(fresh(), "needs-none"), "E_PACKAGE_MISSING", /so:libnone\.so\.1 \(needed by needs-none-1\.0-r0\)/);
  const talk = await call(add(fresh(), "talks"));
  assert.equal(talk.problem, undefined, "what a script says is no error");
  assert.deepEqual(talk.apk?.notes, ["ERROR: only words"]);

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

test("on a read-only root the upgrade is simulated and fetched; then it needs no network, and replaces apk itself", { skip }, async () => {
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
    const of = (name: string): PackageChange | undefined => simulation?.changes.find((change) => change.name === name);
    assert.deepEqual(of("apk-tools"), { name: "apk-tools", kind: "upgraded", from: "2.14.0-r5", to: "2.14.4-r0" });
    assert.ok((simulation?.downloadBytes ?? 0) > 1_000_000);
    requests = [];
    assert.equal((await call({ target, do: "predownload", args })).bytes, simulation?.downloadBytes);
    assert.ok(requests.filter((path) => path.endsWith(".apk")).every((path) => path.startsWith("/v3.20.3/")), "nothing that stays as it is");
    assert.deepEqual((await call({ target, do: "simulate", args })).simulation, { ...simulation, downloadBytes: 0 });
    leave();

    mount("--bind", writable, fixed);
    enter();
    requests = [];
    const done = await call({ target, do: "apk", args });
    assert.equal(done.problem, undefined);
    assert.deepEqual(requests.filter((path) => path.endsWith(".apk")), [], "every package came from the cache");
    assert.deepEqual(done.apk?.changes, simulation?.changes, "two phases of a self-upgrade, one list of changes");
    const after = packageList(readFileSync(join(writable, "lib/apk/db/installed"), "utf8"));
    assert.deepEqual(diffPackages(packageList(database()), after), done.apk?.changes);
  } finally {
    leave();
  }
});

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

test("firn orders versions as the real apk does", { skip }, () => {
  const apk = folder("real-apk");
  for (const name of ["apk-tools", "musl", "libcrypto3", "libssl3", "zlib"]) {
    const file = readdirSync(join(v3191, "x86_64")).find((candidate) => candidate.startsWith(`${name}-`) && /^\d/.test(candidate.slice(name.length + 1)));
    spawnSync("tar", ["-xzf", join(v3191, "x86_64", file ?? ""), "-C", apk]);
  }
  const versions = [
    ..."1 1.0 1.00 1.01 1.1 1.10 1.2 1.02 1.001 2 10 1.0.0 1.0a 1.0b 1a 1.0_alpha 1.0_alpha1 1.0_alpha2 1.0_beta 1.0_pre 1.0_rc1 1.0_rc2".split(" "),
    ..."1.0_cvs 1.0_svn 1.0_git20230717 1.0_git 1.0_hg 1.0_p1 1.0_p 1.0_p1_git2 1.0_rc1_p1 1.0-r0 1.0-r1 1.0-r10 1.0_p1-r0 1.0a-r1 1.0a_rc1-r3".split(" "),
    ..."3.19.1-r0 3.20.3-r0 1.2.4_git20230717-r4 1.2.5-r0 20230506-r0 20240705-r0 9.6_p1-r0 0.12.1 0.9 1.1.1w-r1 3.1.4-r5".split(" "),
  ];
  const words = { "<": -1, "=": 0, ">": 1 } as const;
  let compared = 0;
  for (const [i, a] of versions.entries()) {
    for (const b of versions.filter((_, j) => (i + j) % 3 === 0)) {
      const said = execFileSync(
        join(apk, "lib/ld-musl-x86_64.so.1"),
        ["--library-path", `${apk}/lib:${apk}/usr/lib`, join(apk, "sbin/apk"), "version", "-t", a, b],
        { encoding: "utf8" },
      ).trim();
      assert.equal(compareVersions(a, b), words[said as keyof typeof words], `${a} ${said} ${b}`);
      compared++;
    }
  }
  assert.ok(compared > 700);
});
