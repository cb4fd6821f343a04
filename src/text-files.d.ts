declare module "*.pub" {
  const text: string;
  export default text;
}
declare module "*.txt" {
  const text: string;
  export default text;
}
declare module "*.initd" {
  const text: string;
  export default text;
}
