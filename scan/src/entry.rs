//! How a module is to be entered: a command by itself, the module of a kit as the
//! kit says.

/// What a module has to export, and what it may import beside WASI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The export that is called, without arguments.
    pub export: &'a str,
    /// Whether it returns an `i32`, the exit code; nothing otherwise.
    pub returns_code: bool,
    /// Functions that are answered with a constant `i32`.
    pub stubs: Vec<Stub<'a>>,
}

/// An import that is answered with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub<'a> {
    /// The module part of its name.
    pub module: &'a str,
    /// The field part of its name.
    pub name: &'a str,
}

impl Entry<'_> {
    /// A WASI command's.
    pub const COMMAND: Entry<'static> = Entry {
        export: "_start",
        returns_code: false,
        stubs: Vec::new(),
    };

    /// The type of the export, in the text format's words.
    pub(crate) const fn signature(&self) -> &'static str {
        if self.returns_code {
            "() -> (i32)"
        } else {
            "() -> ()"
        }
    }

    /// Whether `module.name` is answered with a constant.
    pub fn is_stub(&self, module: &str, name: &str) -> bool {
        let mut stubs = self.stubs.iter();
        stubs.any(|stub| stub.module == module && stub.name == name)
    }
}
