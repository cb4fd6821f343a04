/**
 * Runs the functions of src/host/packages/apk in firn's engine: `probe '[["call", {…}], …]'` prints the results as
 * JSON, or `{"problem": …}`.
 */
import { apk, predownload, simulate } from "../../../src/host/packages/apk/apk.ts";
import { fetchedApk, type ApkTool, type BootstrapWish } from "../../../src/host/packages/apk/bootstrap.ts";
import {
  extractPackage,
  fetchPackage,
  packageFileList,
  packageNames,
  signingKeys,
  verifyRepositories,
} from "../../../src/host/packages/apk/repository.ts";
import type { ApkTarget } from "../../../src/host/packages/apk/target.ts";
import { assembleKeys, type KeySources } from "../../../src/host/packages/apk/trusted-keys.ts";
import { packageManager, type SupplyWish } from "../../../src/host/packages/package-manager.ts";
import { enterRoot } from "../../../src/host/kernel/chroot.ts";
import { privateMounts } from "../../../src/host/kernel/process.ts";
import { scratch } from "../../../src/host/kernel/mounts.ts";
import { sys } from "../../../src/host/kernel/sys.ts";
import { Within } from "../../../src/host/kernel/within.ts";
import type { PackageWish, SourceWish } from "../../../src/model/packages/wish.ts";
import { FirnError } from "../../../src/model/problem.ts";
import { given } from "../../../src/model/given.ts";

/** The port: what fills a new root, and what changes one. */
interface PortCall {
  supply?: SupplyWish & { packages: readonly string[]; fill?: string; look?: string };
  inside?: { root: string; sources: SourceWish; wish: PackageWish; do: "simulate" | "fetch" | "change" };
}

export interface Call extends PortCall {
  keys?: KeySources;
  bootstrap?: Omit<BootstrapWish, "tmp">;
  target?: ApkTarget;
  do?: "apk" | "simulate" | "verify" | "names" | "fetch" | "predownload" | "signers";
  args?: readonly string[];
  into?: string;
}

function fromSupply({ packages, fill, look, ...wish }: NonNullable<Call["supply"]>): Record<string, unknown> {
  using supply = packageManager.supply(wish);
  return {
    simulation: supply.simulate(packages),
    names: packages.filter((name) => supply.has(name)),
    ...given({
      list: look === undefined ? undefined : supply.files(look),
      notes: fill === undefined ? undefined : supply.fill(Within.root(fill), packages, () => {}),
    }),
  };
}

function inside(call: NonNullable<Call["inside"]>): Record<string, unknown> {
  const { wish } = call;
  const root = Within.root(call.root);
  const sources = packageManager.sources(root, call.sources, wish);
  // The root stays writable: what is not written was not tried.
  using chroot = enterRoot({ top: Within.volume("/"), root, commons: [], binds: sources.binds, hostResolver: true });
  switch (call.do) {
    case "simulate":
      return { simulation: packageManager.simulate(chroot, sources, wish) };
    case "fetch":
      return { bytes: packageManager.fetch(chroot, sources, wish) };
    case "change":
      return {
        notes: packageManager.change(chroot, sources, wish, () => {}),
        release: packageManager.release(root),
      };
    default:
      return call.do satisfies never;
  }
}

function perform(call: Call): unknown {
  if (call.supply !== undefined) return fromSupply(call.supply);
  if (call.inside !== undefined) return inside(call.inside);
  const result: Record<string, unknown> = {};
  if (call.keys !== undefined) result["keys"] = assembleKeys(call.keys);
  using tool: (ApkTool & Disposable) | undefined =
    call.bootstrap === undefined ? undefined : fetchedApk({ ...call.bootstrap, tmp: scratch() });
  if (tool !== undefined) result["argv"] = tool.argv;
  if (call.target === undefined) return result;
  const target = tool === undefined ? call.target : { ...call.target, tool };
  const args = call.args ?? [];
  switch (call.do) {
    case "apk": {
      const steps: string[] = [];
      result["apk"] = apk(target, args, { onProgress: (n, of, text) => steps.push(`${n}/${of} ${text}`) });
      result["steps"] = steps;
      break;
    }
    case "simulate":
      result["simulation"] = simulate(target, args);
      break;
    case "verify":
      verifyRepositories(target);
      break;
    case "names":
      result["names"] = packageNames(target);
      break;
    case "signers":
      result["names"] = signingKeys(target);
      break;
    case "predownload":
      result["bytes"] = predownload(target, args);
      break;
    case "fetch": {
      const file = fetchPackage(target, args[0] ?? "", call.into ?? "");
      result["file"] = file;
      result["list"] = packageFileList(file);
      extractPackage(file, call.into ?? "");
      break;
    }
    default:
  }
  return result;
}

let code = 0;
try {
  privateMounts();
  sys.write(1, JSON.stringify(perform(JSON.parse(sys.args[1] ?? "{}") as Call)));
} catch (error) {
  code = 1;
  if (error instanceof FirnError) sys.write(1, JSON.stringify({ problem: error.problem }));
  else sys.write(2, `${String(error)}\n${(error as Error).stack ?? ""}\n`);
}
sys.exit(code);
