"""Reads a traced TorchScript archive without torch.

An archive is a zip: `data.pkl` holds the tree of modules, `data/<n>` the weights, `code/**.py` the traced methods as
text in a small subset of Python. The text is interpreted here (never executed): an operator handler decides what each
`torch.<op>(...)` means. Nothing but the standard library is used.
"""

import ast
import collections
import pickle
import zipfile


class Tensor:
    """A weight: shape and little-endian float32 bytes in C order."""

    def __init__(self, name, shape, data):
        self.name, self.shape, self.data = name, tuple(shape), data


class Module:
    """One node of the module tree; `attributes` are its weights and children."""

    def __init__(self, type_name):
        self.type_name, self.attributes = type_name, {}

    def __setstate__(self, state):
        self.attributes = state


class Archive:
    """`run(operators, argument)` interprets `forward` of the root module."""

    def __init__(self, file):
        self.zip = zipfile.ZipFile(file)
        self.root = self.zip.namelist()[0].split("/")[0]
        self.methods = self._read_code()
        self.module = _Unpickler(self).load()

    def weights(self, key):
        return self.zip.read(f"{self.root}/data/{key}")

    def run(self, operators, argument):
        return Interpreter(self.methods, operators).call(self.module, "forward", [argument])

    def _read_code(self):
        """(class name, method name) -> syntax tree."""
        methods, prefix = {}, f"{self.root}/code/"
        for name in self.zip.namelist():
            if not (name.startswith(prefix) and name.endswith(".py")):
                continue
            package = name[len(prefix) : -len(".py")].replace("/", ".")
            for cls in ast.parse(self.zip.read(name).decode()).body:
                for item in getattr(cls, "body", []):
                    if isinstance(item, ast.FunctionDef):
                        methods[f"{package}.{cls.name}", item.name] = item
        return methods


class Interpreter:
    """Evaluates the traced subset: assignments, `return`, method calls, `getattr`, literals and `torch.<op>`."""

    def __init__(self, methods, operators):
        self.methods, self.operators = methods, operators

    def call(self, module, method, arguments):
        function = self.methods[module.type_name, method]
        scope = dict(zip([a.arg for a in function.args.args], [module, *arguments], strict=True))
        for statement in function.body:
            if isinstance(statement, ast.Return):
                return self.value(statement.value, scope)
            if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
                raise ValueError(f"unsupported statement: {ast.unparse(statement)}")
            scope[statement.targets[0].id] = self.value(statement.value, scope)
        raise ValueError(f"{module.type_name}.{method} returns nothing")

    def value(self, node, scope):
        if isinstance(node, ast.Name):
            return scope[node.id]
        if isinstance(node, ast.Attribute):
            return self.value(node.value, scope).attributes[node.attr]
        if isinstance(node, ast.Call):
            return self.invoke(node, scope)
        return ast.literal_eval(node)

    def invoke(self, node, scope):
        arguments = [self.value(a, scope) for a in node.args]
        if isinstance(node.func, ast.Name) and node.func.id == "getattr":
            return arguments[0].attributes[arguments[1]]
        if not isinstance(node.func, ast.Attribute):
            raise ValueError(f"unsupported call: {ast.unparse(node)}")
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "torch":
            return getattr(self.operators, node.func.attr.strip("_"))(*arguments)
        return self.call(self.value(node.func.value, scope), node.func.attr, arguments)


class _Unpickler(pickle.Unpickler):
    """Admits module classes, dictionaries and float32 tensors; everything else is refused."""

    def __init__(self, archive):
        super().__init__(archive.zip.open(f"{archive.root}/data.pkl"))
        self.archive = archive

    def find_class(self, module, name):
        if module.startswith("__torch__"):
            return type(name, (Module,), {"__new__": lambda cls: Module(f"{module}.{name}")})
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch", "FloatStorage"): "FloatStorage",
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in this archive")
        return known[module, name]

    def persistent_load(self, reference):
        kind, storage_type, key, _device, _size = reference
        if (kind, storage_type) != ("storage", "FloatStorage"):
            raise pickle.UnpicklingError(f"storage {storage_type} is not float32")
        return key

    def _tensor(self, key, offset, shape, strides, *_):
        contiguous, step = [], 1
        for length in reversed(shape):
            contiguous.insert(0, step)
            step *= length
        data = self.archive.weights(key)
        if offset or list(strides) != contiguous or len(data) != 4 * step:
            raise pickle.UnpicklingError(f"tensor {key} is not one whole C-ordered block")
        return Tensor(f"w{key}", shape, data)
