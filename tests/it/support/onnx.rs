//! Tiny ONNX networks with known answers, encoded by hand (onnx.proto3): `input` [1,1,d,h,w] -> `output` [1,classes,...].

const FLOAT: u64 = 1;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(value, &mut out);
    out
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn tensor(name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims = shape.iter().flat_map(|d| number(1, *d));
    dims.chain(number(2, FLOAT)).chain(bytes(8, name.as_bytes())).chain(bytes(9, &data)).collect()
}

fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    let list = values.iter().flat_map(|v| number(8, *v));
    bytes(5, &bytes(1, name.as_bytes()).into_iter().chain(list).chain(number(20, 7)).collect::<Vec<u8>>())
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|i| bytes(1, i.as_bytes()));
    let body = inputs.chain(bytes(2, output.as_bytes())).chain(bytes(4, operator.as_bytes()));
    bytes(1, &body.chain(attributes.concat()).collect::<Vec<u8>>())
}

fn value_info(field: u64, name: &str, channels: u64) -> Vec<u8> {
    let dimension = |body: Vec<u8>| bytes(1, &body);
    let fixed = [1, channels].into_iter().flat_map(|d| dimension(number(1, d)));
    let free = ["d", "h", "w"].into_iter().flat_map(|d| dimension(bytes(2, d.as_bytes())));
    let shape: Vec<u8> = fixed.chain(free).collect();
    let kind = bytes(1, &[number(1, FLOAT), bytes(2, &shape)].concat());
    bytes(field, &[bytes(1, name.as_bytes()), bytes(2, &kind)].concat())
}

fn model(classes: u64, nodes: &[Vec<u8>], weights: &[Vec<u8>]) -> Vec<u8> {
    model_of([1, classes], nodes, weights)
}

/// `channels`: of the input and of the output.
fn model_of([seen, classes]: [u64; 2], nodes: &[Vec<u8>], weights: &[Vec<u8>]) -> Vec<u8> {
    let weights = weights.iter().flat_map(|w| bytes(5, w));
    let graph: Vec<u8> = nodes.concat().into_iter().chain(bytes(2, b"test")).chain(weights).collect();
    let graph = [graph, value_info(11, "input", seen), value_info(12, "output", classes)].concat();
    let opset = [bytes(1, b""), number(2, 18)].concat();
    [number(1, 9), bytes(7, &graph), bytes(8, &opset)].concat()
}

/// 1x1x1 convolution: class 0 is always 0, class 1 is `value - at`. Argmax gives 1 where the value exceeds `at`.
pub fn threshold(at: f32) -> Vec<u8> {
    let weights = [tensor("w", &[2, 1, 1, 1, 1], &[0.0, 1.0]), tensor("b", &[2], &[0.0, -at])];
    model(2, &[node("Conv", &["input", "w", "b"], "output", &[])], &weights)
}

/// As `threshold`, with three classes: class 2 where the value exceeds `at`, class 1 never.
pub fn second_class(at: f32) -> Vec<u8> {
    let weights = [tensor("w", &[3, 1, 1, 1, 1], &[0.0, 0.0, 1.0]), tensor("b", &[3], &[0.0, -1.0, -at])];
    model(3, &[node("Conv", &["input", "w", "b"], "output", &[])], &weights)
}

/// As `threshold(0.5)`, but with a stride of 2: the output is half as large on each axis.
pub fn halving() -> Vec<u8> {
    let weights = [tensor("w", &[2, 1, 1, 1, 1], &[0.0, 1.0]), tensor("b", &[2], &[0.0, -0.5])];
    model(2, &[node("Conv", &["input", "w", "b"], "output", &[integers("strides", &[2, 2, 2])])], &weights)
}

/// Class 1 is the logarithm of -1.
pub fn not_a_number() -> Vec<u8> {
    let weights = [tensor("w", &[2, 1, 1, 1, 1], &[0.0, 0.0]), tensor("b", &[2], &[1.0, -1.0])];
    let nodes = [node("Conv", &["input", "w", "b"], "t", &[]), node("Log", &["t"], "output", &[])];
    model(2, &nodes, &weights)
}

/// Several channels: class 1 where the sum of all channels, each times its weight, exceeds `at`.
pub fn weighted(weights: &[f32], at: f32) -> Vec<u8> {
    let seen = weights.len() as u64;
    let rows: Vec<f32> = weights.iter().map(|_| 0.0).chain(weights.iter().copied()).collect();
    let weights = [tensor("w", &[2, seen, 1, 1, 1], &rows), tensor("b", &[2], &[0.0, -at])];
    model_of([seen, 2], &[node("Conv", &["input", "w", "b"], "output", &[])], &weights)
}
