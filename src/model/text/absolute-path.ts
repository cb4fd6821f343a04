/**
 * A path as it is meant from `folder` (absolute). `..` stays: behind a symlink it leads elsewhere than its text, and
 * the kernel knows where.
 */
export function absolutePath(path: string, folder: string): string {
  const parts = `${path.startsWith("/") ? "" : folder}/${path}`.split("/");
  return `/${parts.filter((part) => part !== "" && part !== ".").join("/")}`;
}
