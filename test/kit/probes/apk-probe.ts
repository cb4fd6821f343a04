/**
 * Runs the functions of src/host/packages/apk in firn's engine: `probe '[["call", {…}], …]'` prints the results as
 * JSON, or `{"problem": …}`.
 */
import {
  apk,
  extractPackage,
  fetchPackage,
  packageFileList,
  packageNames,
  predownload,
  signingKeys,
  simulate,
  verifyRepositories,
  type ApkTarget,
  type ApkTool,
} from "../../../src/host/packages/apk/apk.ts";
import { fetchedApk, type BootstrapWish } from "../../../src/host/packages/apk/bootstrap.ts";
import { assembleKeys, type KeySources } from "../../../src/host/packages/apk/keys.ts";
import { privateMounts } from "../../../src/host/kernel/isolate.ts";
import { scratch } from "../../../src/host/kernel/mounts.ts";
import { sys } from "../../../src/host/kernel/sys.ts";
import { FirnError } from "../../../src/model/problem.ts";

export interface Call {
  keys?: KeySources;
  bootstrap?: Omit<BootstrapWish, "tmp">;
  target?: ApkTarget;
  do?: "apk" | "simulate" | "verify" | "names" | "fetch" | "predownload" | "signers";
  args?: readonly string[];
  into?: string;
}

function perform(call: Call): unknown {
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
