// The little of a browser that Cornerstone asks for while it is loaded; nothing is ever drawn.

const element = () => ({ getContext: () => null, style: {} });
globalThis.window = globalThis;
globalThis.self = globalThis;
globalThis.document = { createElement: element, addEventListener() {}, documentElement: { style: {} } };
