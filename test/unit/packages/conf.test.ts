import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  activeRepositories,
  isLocalRepository,
  mirrorRepositories,
  normaliseRepository,
  parseRepositories,
  renderRepositories,
  repositoryPlace,
  switchRelease,
} from "../../../src/model/packages/conf.ts";

const text = `#/media/cdrom/apks
https://dl-cdn.alpinelinux.org/alpine/v3.19/main
#https://dl-cdn.alpinelinux.org/alpine/v3.19/community
@edge  https://dl-cdn.alpinelinux.org/alpine/edge/testing

https://v3.19/mirror/latest-stable/community/
/srv/v3.19.1
`;

test("a release switch rewrites every mirror's release, enabled or not, and nothing else", () => {
  const { text: switched, switched: changed, kept } = switchRelease(text, "v3.20");
  assert.equal(
    switched,
    `#/media/cdrom/apks
https://dl-cdn.alpinelinux.org/alpine/v3.20/main
#https://dl-cdn.alpinelinux.org/alpine/v3.20/community
@edge https://dl-cdn.alpinelinux.org/alpine/edge/testing

https://v3.20/mirror/latest-stable/community/
/srv/v3.19.1
`.replace("https://v3.20/mirror/latest-stable", "https://v3.19/mirror/v3.20"),
  );
  assert.equal(changed.length, 2);
  assert.deepEqual(kept, ["https://dl-cdn.alpinelinux.org/alpine/edge/testing", "/srv/v3.19.1"]);
});

test("a repositories file survives reading and writing", () => {
  const plain = text.replace("@edge  ", "@edge ");
  assert.equal(renderRepositories(parseRepositories(plain)), plain);
  const line = fc.oneof(
    fc.constantFrom("", "# words", "#http://a/v3.1/main"),
    fc.constantFrom("http://a/b", "@t /x", "/dir"),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const file = lines.map((one) => `${one}\n`).join("");
      assert.equal(renderRepositories(parseRepositories(file)), file);
      assert.deepEqual(
        activeRepositories(file),
        lines.filter((one) => one !== "" && !one.startsWith("#")),
      );
    }),
  );
});

test("repositories mean the same from every folder", () => {
  const cases: [string, string | undefined][] = [
    ["../shared/alpine/v3.19.1/", "/home/me/../shared/alpine/v3.19.1"],
    ["./a//b/../c", "/home/me/a/b/../c"],
    ["two  blanks", "/home/me/two  blanks"],
    ["/srv/apk/.", "/srv/apk"],
    ["file:///srv/apk", "/srv/apk"],
    ["https://mirror/alpine/v3.19/main/", "https://mirror/alpine/v3.19/main"],
    ["@edge ../x", "@edge /home/me/../x"],
    ["  ", undefined],
    ["@edge", undefined],
  ];
  for (const [given, expected] of cases) assert.equal(normaliseRepository(given, "/home/me"), expected, given);
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z./]{1,20}$/), (path) => {
      const once = normaliseRepository(path, "/home/me");
      assert.ok(once !== undefined && once.startsWith("/"));
      assert.equal(normaliseRepository(once, "/elsewhere"), once);
    }),
  );
  assert.ok(isLocalRepository("@edge /srv"));
  assert.ok(!isLocalRepository("@edge http://a"));
  assert.equal(repositoryPlace("@edge http://a"), "http://a");
});

test("a mirror has two repositories a release", () => {
  assert.deepEqual(mirrorRepositories("https://m/alpine/", "v3.20"), [
    "https://m/alpine/v3.20/main",
    "https://m/alpine/v3.20/community",
  ]);
});
