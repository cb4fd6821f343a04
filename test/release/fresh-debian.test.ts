/**
 * `npm run test:release`: the two commands of the README on a Debian 12 that has nothing, not even npm. A quarter of an
 * hour and a gigabyte; FIRN_RELEASE_DEMO=1 runs the whole demonstration too. Needs root, debootstrap and this machine's
 * own package sources.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";

const project = resolve(import.meta.dirname, "../..");
const shared = resolve(project, "../shared");
/** Where the clone lies in the new system. */
const CLONE = "/srv/firn";
const MINUTE = 60_000;

/** Lines for apt's sources.list: the Debian archives that this machine uses. */
function debianSources(): string[] {
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const targets = execFileSync("apt-get", ["indextargets", "--format", format, "Created-By: Packages"], {
    encoding: "utf8",
  });
  return targets.split("\n").filter((line) => /^\S+\/debian(-security)?\/ bookworm/.test(line));
}

/**
 * How this machine reaches npm's registry, as npm itself says it: an address, and a certificate where it needs one of
 * its own.
 */
function npmAccess(folder: string): Record<string, string> {
  const npm = (key: string): string => execFileSync("npm", ["config", "get", key], { encoding: "utf8" }).trim();
  const settings = join(homedir(), ".npmrc");
  if (existsSync(settings)) copyFileSync(settings, join(folder, "root/.npmrc"));
  const certificates = npm("cafile");
  if (!existsSync(certificates)) return { npm_config_registry: npm("registry") };
  copyFileSync(certificates, join(folder, "root/npm-certificates.pem"));
  return { npm_config_registry: npm("registry"), npm_config_cafile: "/root/npm-certificates.pem" };
}

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync("/usr/sbin/debootstrap")) return "debootstrap is not installed";
  if (debianSources().length === 0) return "apt knows no Debian 12 archive";
  return undefined;
}

describe("a fresh Debian 12", { skip: missing() ?? false }, () => {
  let folder = "";
  let access: Record<string, string> = {};

  before(
    () => {
      folder = mkdtempSync(join(tmpdir(), "firn-release-"));
      const sources = debianSources();
      const [archive = ""] = (sources.find((line) => /\/debian\/ /.test(line)) ?? "").split(" ");
      execFileSync("debootstrap", ["--variant=minbase", "bookworm", folder, archive], { stdio: "ignore" });
      writeFileSync(join(folder, "etc/apt/sources.list"), sources.map((line) => `deb ${line}\n`).join(""));
      for (const file of ["/etc/resolv.conf", "/etc/hosts"]) copyFileSync(file, join(folder, file));
      access = npmAccess(folder);
      execFileSync("git", ["clone", "-q", "--no-hardlinks", project, join(folder, CLONE)]);
      if (existsSync(shared)) mkdirSync(join(folder, CLONE, "../shared"));
    },
    { timeout: 10 * MINUTE },
  );

  after(() => {
    // The mounts went with their namespace; --one-file-system holds should one have stayed.
    if (folder !== "") execFileSync("rm", ["-rf", "--one-file-system", folder]);
  });

  /**
   * Runs a command in the new system, in mount and process namespaces of its own, with an environment that names
   * nothing else.
   */
  function inside(command: string): { status: number | null; text: string } {
    const mounts = [
      // What makes mount namespaces inside needs a root that is a mount point.
      `mount --bind "${folder}" "${folder}"`,
      `mount -t proc proc "${folder}/proc"`,
      `mount --rbind /dev "${folder}/dev"`,
      `mount --rbind /sys "${folder}/sys"`,
      ...(existsSync(shared) ? [`mount --bind -o ro "${shared}" "${folder}${CLONE}/../shared"`] : []),
    ];
    const environment = Object.entries({
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/root",
      ...access,
    }).map(([name, value]) => `${name}=${value}`);
    const ran = spawnSync(
      "unshare",
      [
        ...["--mount", "--pid", "--fork", "--kill-child", "--propagation", "slave", "sh", "-euc"],
        `${mounts.join("\n")}\nexec chroot "${folder}" env -i "$@"`,
        ...["sh", ...environment, "sh", "-c", `cd ${CLONE} && exec ${command} 2>&1`],
      ],
      { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] },
    );
    return { status: ran.status, text: ran.stdout + ran.stderr };
  }

  function works(command: string): string {
    const { status, text } = inside(command);
    assert.equal(status, 0, `${command}: ${text.slice(-4000)}`);
    return text;
  }

  it("sets itself up and passes the unit tests", { timeout: 20 * MINUTE }, () => {
    assert.match(works("./run-tests unit"), /^[1-9]\d* passed, 0 failed, 0 skipped$/m);
  });

  it("has nothing left to set up the second time", { timeout: MINUTE }, () => {
    assert.equal(works("scripts/setup"), "");
  });

  it("builds firn, engine included", { timeout: 10 * MINUTE }, () => {
    works("env PATH=./node_modules/.bin:/usr/sbin:/usr/bin:/sbin:/bin npm run build");
    assert.match(works("dist/firn --version"), /^\d+\.\d+\.\d+/);
  });

  it("says what the demonstration shows", { timeout: MINUTE }, () => {
    assert.match(works("./demo --help"), /upgrade/);
  });

  const wanted = process.env["FIRN_RELEASE_DEMO"] === "1";
  it("shows the demonstration", { timeout: 40 * MINUTE, skip: !wanted && "FIRN_RELEASE_DEMO=1 runs it" }, () => {
    works("./demo");
  });
});
