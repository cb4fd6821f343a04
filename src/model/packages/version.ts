/**
 * apk's order of versions. A version is `digits{.digits}{letter}{_suffix{digits}}{-rdigits}`; the kinds below are in
 * the order in which apk ranks what may come next: the version that goes on with the lower kind is the greater one.
 */
const Kind = {
  invalid: -1,
  component: 0,
  digits: 1,
  letter: 2,
  suffix: 3,
  suffixNumber: 4,
  revision: 5,
  end: 6,
} as const;
type KindValue = (typeof Kind)[keyof typeof Kind];

/** Negative: before the release it stands on. */
const suffixes: Record<string, number> = { alpha: -4, beta: -3, pre: -2, rc: -1, cvs: 0, svn: 1, git: 2, hg: 3, p: 4 };
const suffixName = /^(alpha|beta|pre|rc|cvs|svn|git|hg|p)/;

interface Token {
  kind: KindValue;
  value: number;
}

/** What kind of token starts at `at`, and where its value starts. */
function following(text: string, at: number, last: KindValue): [KindValue, number] {
  const char = text[at];
  if (char === undefined) return [Kind.end, at];
  const digit = char >= "0" && char <= "9";
  if (char >= "a" && char <= "z" && last <= Kind.digits) return [Kind.letter, at];
  if (digit && last === Kind.letter) return [Kind.digits, at];
  if (digit && last === Kind.suffix) return [Kind.suffixNumber, at];
  if (char === "." && last <= Kind.letter) return last === Kind.letter ? [Kind.invalid, at] : [Kind.component, at + 1];
  if (char === "_" && last <= Kind.suffixNumber) return [Kind.suffix, at + 1];
  if (char === "-" && text[at + 1] === "r" && last < Kind.revision) return [Kind.revision, at + 2];
  return [Kind.invalid, at];
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let kind: KindValue = Kind.digits;
  for (let at = 0; ;) {
    if (kind === Kind.end || kind === Kind.invalid) {
      tokens.push({ kind, value: 0 });
      return tokens;
    }
    const rest = text.slice(at);
    if (kind === Kind.letter) {
      tokens.push({ kind, value: rest.charCodeAt(0) });
      at += 1;
    } else if (kind === Kind.suffix) {
      const name = suffixName.exec(rest)?.[0];
      const value = name === undefined ? undefined : suffixes[name];
      if (name === undefined || value === undefined) {
        kind = Kind.invalid;
        continue;
      }
      tokens.push({ kind, value });
      at += name.length;
    } else {
      const zeros = kind === Kind.component ? (/^0+/.exec(rest)?.[0] ?? "") : "";
      if (zeros !== "") {
        // After a dot, leading zeros are a token of their own, and a number always follows, 0 where there are no more
        // digits.
        tokens.push({ kind, value: -zeros.length });
        at += zeros.length;
        kind = Kind.digits;
        continue;
      }
      const digits = /^[0-9]*/.exec(rest)?.[0] ?? "";
      tokens.push({ kind, value: Number(digits) });
      at += digits.length;
    }
    [kind, at] = following(text, at, kind);
  }
}

/** -1 when `a` is older than `b`, 1 when it is newer, 0 when apk takes them for equal. */
export function compareVersions(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0;
  const left = tokensOf(a);
  const right = tokensOf(b);
  for (let i = 0; ; i++) {
    const x = left[i];
    const y = right[i];
    if (x === undefined || y === undefined) return 0;
    if (x.kind !== y.kind) {
      // `1.0_rc1` comes before `1.0`, `1.0_p1` after it.
      if (x.kind === Kind.suffix && x.value < 0) return -1;
      if (y.kind === Kind.suffix && y.value < 0) return 1;
      return x.kind > y.kind ? -1 : 1;
    }
    if (x.value !== y.value) return x.value < y.value ? -1 : 1;
  }
}
