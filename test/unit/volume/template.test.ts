import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PLACEHOLDER } from "../../../src/model/volume/fstab.ts";
import {
  dropSubvolumeNumbers,
  markTemplate,
  mergeTemplate,
  mountsOwnRoot,
  readTemplate,
  templateBehind,
} from "../../../src/model/volume/template.ts";

const root = `U / btrfs subvol=${PLACEHOLDER}/@,ro 0 0\n`;
const lines = ["# note", "U /a btrfs subvol=/commons/@a,rw 0 0", "tmpfs /tmp tmpfs rw 0 0", "/dev/b /b ext4 ro 0 0"];
const anyTemplate = fc.subarray(lines).map((some) => root + some.map((line) => `${line}\n`).join(""));

test("firn knows its own words again, whatever the default is meanwhile: nobody edited them", () => {
  fc.assert(
    fc.property(anyTemplate, anyTemplate, (text, other) => {
      const edit = readTemplate(markTemplate(text), [other]);
      assert.deepEqual(edit, { written: text, edited: text, marked: true });
      assert.equal(mergeTemplate(edit, other).text, other);
    }),
  );
});

test("what a person wrote is told from what firn wrote by looking among the generations", () => {
  fc.assert(
    fc.property(anyTemplate, anyTemplate, anyTemplate, (wrote, first, edited) => {
      fc.pre(wrote !== edited);
      const edit = readTemplate(markTemplate(edited, wrote), [first, wrote]);
      assert.deepEqual(edit, { written: wrote, edited, marked: true });
    }),
  );
  const lost = readTemplate(markTemplate("x\n", "gone\n"), ["first\n"]);
  assert.equal(lost.written, "first\n", "where no generation has it, the default's stands for it");
});

test("a template that nobody marked is a person's, against the default's", () => {
  assert.deepEqual(readTemplate("mine\n", ["own\n", "older\n"]), { written: "own\n", edited: "mine\n", marked: false });
  assert.deepEqual(readTemplate("mine\n", []), { written: "mine\n", edited: "mine\n", marked: false });
});

test("an edit is whole where nothing else changed, and nothing where nobody edited", () => {
  fc.assert(
    fc.property(anyTemplate, anyTemplate, (before, after) => {
      const marked = true;
      assert.equal(mergeTemplate({ written: before, edited: after, marked }, before).text, after);
      assert.equal(mergeTemplate({ written: before, edited: before, marked }, after).text, after);
      assert.equal(mergeTemplate(undefined, after).text, after);
    }),
  );
});

test("lines that a person added or took away are, beside what the default's fstab got meanwhile", () => {
  const edit = { written: `${root}a /a x\nb /b x\n`, edited: `${root}c /c x\na /a x\n`, marked: true };
  const { text, contested } = mergeTemplate(edit, `${root}a /a x\nb /b x\nd /d x\n`);
  assert.equal(text, `${root}c /c x\na /a x\nd /d x\n`);
  assert.deepEqual(contested, []);
});

test("where both say something of one path the default's line holds, and the other is said", () => {
  const edit = { written: `${root}a /a x\n`, edited: `${root}a /a mine\nnew /n x\n`, marked: true };
  const merged = mergeTemplate(edit, `${root}a /a theirs\n`);
  assert.deepEqual(merged, { text: `${root}a /a theirs\nnew /n x\n`, contested: ["a /a mine"] });
});

test("each line of an edit is in the merge or said, and none is there twice", () => {
  fc.assert(
    fc.property(anyTemplate, anyTemplate, anyTemplate, (written, edited, now) => {
      const { text, contested } = mergeTemplate({ written, edited, marked: true }, now);
      const merged = text.split("\n").filter((line) => line !== "");
      assert.equal(new Set(merged).size, merged.length);
      for (const line of edited.split("\n").filter((one) => one !== "" && !written.includes(one)))
        assert.ok(merged.includes(line) || contested.includes(line), line);
    }),
  );
});

test("a subvolume's number goes where its name stands beside it, and nowhere else", () => {
  const other =
    "U /top btrfs subvolid=5 0 0\nU /o btrfs subvol=/other,subvolid=7 0 0\n# subvolid=5,subvol=/commons/@x\n";
  const { text, dropped } = dropSubvolumeNumbers(
    `U / btrfs ro,subvolid=258,subvol=${PLACEHOLDER}/@ 0 0\nU /h btrfs subvol=/commons/@h,subvolid=9 0 0\n${other}`,
  );
  assert.equal(text, `U / btrfs ro,subvol=${PLACEHOLDER}/@ 0 0\nU /h btrfs subvol=/commons/@h 0 0\n${other}`);
  assert.deepEqual(dropped, ["subvolid=258 of /", "subvolid=9 of /h"]);
});

test("the mark stays out of generations made by hand from the template, and out of their template", () => {
  const byHand = markTemplate(root).replaceAll(PLACEHOLDER, "/snapshots/x");
  assert.equal(templateBehind(byHand), root);
  assert.ok(mountsOwnRoot(root));
  assert.ok(!mountsOwnRoot("U / btrfs subvol=/snapshots/x/@ 0 0\n"));
});
