import * as v from "valibot";
import { list, parseDocument, text, textOrNumber, whole, type Camel } from "./document.ts";
import { given } from "../given.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import type { Retention } from "../volume/retention.ts";
import { parseDays, parseSpace, spaceIn, type Space } from "../text/size.ts";
import { parsePath, parseRepository } from "../machine/system.ts";

/** /etc/firn/firn.toml of an installed system, complete. */
export interface FirnConfig {
  /** What gc keeps beside the generations that it must keep; `retentionWish` turns it into the model's terms. */
  readonly retention: {
    /** Generations in all, counting those that must be kept. */
    readonly keepCount: number;
    /** Days. Younger generations are kept beyond `keepCount`; 0: none for its age. */
    readonly keepDays: number;
    /** While less is free, neither count nor age protects. */
    readonly minFree: Space;
    /** Whether an upgrade that lacks space runs gc first. */
    readonly autoGc: boolean;
  };
  readonly upgrade: {
    /** Beside /etc/apk/repositories. */
    readonly repositories: readonly string[];
    readonly keysDir?: string;
  };
}

function buildFirnSchema() {
  return v.strictObject({
    retention: v.exactOptional(
      v.strictObject({
        "keep-count": v.exactOptional(whole("Generations kept in all. Default: 10.", 0, 100_000)),
        "keep-days": v.exactOptional(
          textOrNumber("Younger ones are kept beyond keep-count: 30d, 4w. Default: 0.", parseDays),
        ),
        "min-free": v.exactOptional(
          textOrNumber("While less is free, neither count nor age protects: 2G or 10%. Default: 10%.", parseSpace),
        ),
        "auto-gc": v.exactOptional(
          v.pipe(v.boolean(), v.description("Run gc first when an upgrade lacks space. Default: false.")),
        ),
      }),
    ),
    upgrade: v.exactOptional(
      v.strictObject({
        repositories: v.exactOptional(list("Used beside /etc/apk/repositories.", parseRepository)),
        "keys-dir": v.exactOptional(text("Folder of public keys to trust beside the system's.", parsePath)),
      }),
    ),
  });
}

type FirnSchema = ReturnType<typeof buildFirnSchema>;
let built: FirnSchema | undefined;

/** The schema of firn.toml, built at its first use. */
export function firnSchema(): FirnSchema {
  return (built ??= buildFirnSchema());
}

function complete(wish: Camel<v.InferOutput<FirnSchema>>): FirnConfig {
  const { retention = {}, upgrade = {} } = wish;
  return {
    retention: {
      keepCount: retention.keepCount ?? 10,
      keepDays: retention.keepDays ?? 0,
      minFree: retention.minFree ?? { percent: 10 },
      autoGc: retention.autoGc ?? false,
    },
    upgrade: {
      repositories: upgrade.repositories ?? [],
      ...given({ keysDir: upgrade.keysDir }),
    },
  };
}

/** What holds where there is no firn.toml. */
export function defaultFirnConfig(): FirnConfig {
  return complete({});
}

/** Reads firn.toml and fills in the defaults. `filename` appears in messages only. */
export function parseFirnToml(toml: string, filename: string = "/etc/firn/firn.toml"): FirnConfig | Refusal {
  const parsed = parseDocument(firnSchema(), toml, filename);
  return isRefusal(parsed) ? parsed : complete(parsed);
}

/**
 * The retention that `retain` in model/retention.ts takes. `total`: bytes of the volume, of which min-free may be a
 * share.
 */
export function retentionWish(retention: FirnConfig["retention"], total: number): Retention {
  return {
    keepCount: retention.keepCount,
    keepAge: retention.keepDays * 86_400_000,
    minimumFree: spaceIn(retention.minFree, total),
  };
}
