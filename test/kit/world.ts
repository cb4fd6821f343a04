/** Where tests work: folders that go when the suite that asked for them ends. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { baseImage } from "./image.ts";

/** A folder for the suite that asks, removed at its end; never into a mount that was left behind. */
export function workFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `firn-${name}-`));
  after(() => execFileSync("rm", ["-rf", "--one-file-system", folder]));
  return folder;
}

/** A folder for images, removed by `[Symbol.dispose]`. */
export class World implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "firn-loop-"));
  private made = 0;

  /** A copy of the installed image, for one test. */
  async image(size?: string): Promise<string> {
    return this.copy(await baseImage(size));
  }

  /** A copy of any image: the state that several tests start from is made once. */
  copy(from: string): string {
    const file = join(this.folder, `${++this.made}.img`);
    execFileSync("cp", ["--sparse=always", "--reflink=auto", from, file]);
    return file;
  }

  drop(file: string): void {
    rmSync(file);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A world for the suite that asks. */
export function ownWorld(): World {
  const world = new World();
  after(() => world[Symbol.dispose]());
  return world;
}
