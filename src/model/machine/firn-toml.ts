import { complete } from "../config/complete.ts";
import { document, list, table, text, textOrNumber, truth, whole } from "../config/declare.ts";
import { parseDocument } from "../config/document.ts";
import { isRefusal, type Refusal } from "../problem.ts";
import { parseDays, parseSpace, spaceIn, type Space } from "../text/size.ts";
import type { Retention } from "../volume/retention.ts";
import { parsePath, parseRepository } from "./system.ts";

/** /etc/firn/firn.toml of an installed system, complete. */
export interface FirnConfig {
  /** What gc keeps beside the generations that it must keep; `retentionWish` turns it into the model's terms. */
  readonly retention: {
    /** Generations in all, counting those that must be kept. */
    readonly keepCount: number;
    /** Days. Younger generations are kept beyond `keepCount`; 0: none for its age. */
    readonly keepDays: number;
    /** While less is free, what only count or age keeps goes too, the oldest first. */
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

/** /etc/firn/firn.toml; its example is also what an installation writes there. */
export const firnToml = document(
  "firn.toml",
  [
    "/etc/firn/firn.toml: how this system keeps and makes its generations.",
    "Every key may be left out. What is not commented out here is the default.",
  ],
  {
    retention: table(
      {
        words:
          "What `firn gc` keeps beside the generations that it never deletes: those in a slot, pinned, booted, on trial, " +
          "or last known good.",
      },
      {
        "keep-count": whole(0, 100_000, { brief: "Generations in all, counting those", default: 10 }),
        "keep-days": textOrNumber(parseDays, {
          brief: "Younger ones are kept beyond that: `30d`, `4w`, `6m`, `1y`, or a number of days",
          default: 0,
        }),
        "min-free": textOrNumber(parseSpace, {
          brief: "While less than this is free, gc deletes the oldest that only those two keep: `2G` or `10%`",
          default: "10%",
        }),
        "auto-gc": truth({ brief: "Whether an upgrade that lacks space runs gc first", default: false }),
      },
    ),
    upgrade: table(
      {},
      {
        repositories: list(parseRepository, { brief: "Used beside `/etc/apk/repositories`", default: [] }),
        "keys-dir": text(parsePath, {
          brief: "Folder of public keys to trust beside those in `/etc/apk/keys`",
          example: "/srv/keys",
        }),
      },
    ),
  },
);

/** What holds where there is no firn.toml. */
export function defaultFirnConfig(): FirnConfig {
  return complete(firnToml, {});
}

/** Reads firn.toml and fills in the defaults. `filename` appears in messages only. */
export function parseFirnToml(toml: string, filename: string = "/etc/firn/firn.toml"): FirnConfig | Refusal {
  const parsed = parseDocument(firnToml, toml, filename);
  return isRefusal(parsed) ? parsed : complete(firnToml, parsed);
}

/**
 * The retention that `retain` in model/volume/retention.ts takes. `total`: bytes of the volume, of which min-free may
 * be a share.
 */
export function retentionWish(retention: FirnConfig["retention"], total: number): Retention {
  return {
    keepCount: retention.keepCount,
    keepAge: retention.keepDays * 86_400_000,
    minimumFree: spaceIn(retention.minFree, total),
  };
}
