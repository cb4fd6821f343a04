import { makeDirectory, newName } from "../../kernel/files.ts";
import { removeTree } from "../../kernel/within.ts";

/** A folder for root alone with a name that nobody can guess, deleted when its scope ends. */
export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/** Makes a temporary folder below `base`. mkdir fails rather than take what is there already. */
export function temporaryFolder(base: string): TemporaryFolder {
  const path = `${base}/firn-${newName()}`;
  makeDirectory(path, 0o700);
  return { path, [Symbol.dispose]: () => removeTree(path) };
}
