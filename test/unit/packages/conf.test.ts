import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  isLocalRepository,
  mirrorRepositories,
  normaliseRepository,
  readRepositories,
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
@edge  https://dl-cdn.alpinelinux.org/alpine/edge/testing

https://v3.20/mirror/latest-stable/community/
/srv/v3.19.1
`.replace("https://v3.20/mirror/latest-stable", "https://v3.19/mirror/v3.20"),
  );
  assert.equal(changed.length, 2);
  assert.deepEqual(kept, ["https://dl-cdn.alpinelinux.org/alpine/edge/testing", "/srv/v3.19.1"]);
});

test("a repositories file keeps its every line, and names what apk reads", () => {
  const line = fc.oneof(
    fc.constantFrom("", "# words", "#http://a/v3.1/main", "  # http://a v3.1"),
    fc.constantFrom("http://a/b", "@t /x", "/dir"),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const file = lines.map((one) => `${one}\n`).join("");
      assert.equal(switchRelease(file, "v3.1").text, file);
      assert.deepEqual(readRepositories(file), {
        active: lines.filter((one) => !/^\s*(#|$)/.test(one)),
        unread: [],
      });
    }),
  );
});

test("apk 3's words for repositories are read, but for indexes of another kind", () => {
  const file = `set mirror=https://m/alpine release=v3.22
v2 \${mirror}/\${release} main community
@edge https://m/alpine/edge testing
https://m/packages/
v3 https://m/other main
ndx https://m/index.adb
\${unknown}/main
--allow-untrusted
`;
  const { active, unread } = readRepositories(file);
  assert.deepEqual(active, [
    "https://m/alpine/v3.22/main",
    "https://m/alpine/v3.22/community",
    "@edge https://m/alpine/edge/testing",
    "https://m/packages/",
  ]);
  assert.deepEqual(unread, [
    "v3 https://m/other main",
    "ndx https://m/index.adb",
    "${unknown}/main",
    "--allow-untrusted",
  ]);
  const { text: next, switched, kept } = switchRelease(file, "v3.23");
  assert.equal(next, file.replace("release=v3.22", "release=v3.23"));
  assert.deepEqual(switched, active.slice(0, 2));
  assert.deepEqual(kept, ["https://m/alpine/edge/testing", "https://m/packages/"]);
  assert.deepEqual(
    readRepositories(next).active.slice(0, 2),
    switched.map((one) => one.replace("3.22", "3.23")),
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
