//! `&&` and `||` without branches.
//!
//! naga makes a branch of each, so that the right side is not evaluated in vain. Most right sides are a comparison, cheaper
//! than the branch; and some drivers choke on branches: SwiftShader searches a loop's blocks in a way whose time doubles with
//! every one that follows another, and did not get through `execute` in minutes. So what may be evaluated in any case is.

use wgpu::naga::{
    AddressSpace, Arena, BinaryOperator, Block, Expression, Function, GlobalVariable, Handle, LocalVariable, Module,
    Range, Statement,
};

/// Replaces the branch of each `&&` and `||` whose right side only computes, from values and from variables of the function
/// or of the uniform address space. What reads a buffer stays behind its branch.
pub(super) fn flatten(module: &mut Module) {
    let Module { functions, entry_points, global_variables, .. } = module;
    // A function stands behind those that it calls.
    let mut pure = Vec::with_capacity(functions.len());
    for (_, function) in functions.iter_mut() {
        flatten_function(function, global_variables, &pure);
        pure.push(Scope::of(function, global_variables, &pure).computes(&function.body));
    }
    for entry in entry_points {
        flatten_function(&mut entry.function, global_variables, &pure);
    }
}

fn flatten_function(function: &mut Function, globals: &Arena<GlobalVariable>, pure: &[bool]) {
    let body = std::mem::take(&mut function.body);
    function.body = flatten_block(function, globals, pure, body);
}

fn flatten_block(function: &mut Function, globals: &Arena<GlobalVariable>, pure: &[bool], block: Block) -> Block {
    let mut flat = Block::with_capacity(block.len());
    for (mut statement, span) in block.span_into_iter() {
        let mut nested = |block: &mut Block| {
            *block = flatten_block(function, globals, pure, std::mem::take(block));
        };
        match &mut statement {
            Statement::Block(block) => nested(block),
            Statement::If { accept, reject, .. } => {
                nested(accept);
                nested(reject);
            }
            Statement::Switch { cases, .. } => cases.iter_mut().for_each(|case| nested(&mut case.body)),
            Statement::Loop { body, continuing, .. } => {
                nested(body);
                nested(continuing);
            }
            _ => {}
        }
        match statement {
            Statement::If { condition, accept, reject } => match logical(function, globals, pure, &accept, &reject) {
                Some((pointer, right, otherwise)) => {
                    flat.extend_block(accept);
                    // The store of the right side.
                    flat.cull(flat.len() - 1..);
                    let select = Expression::Select { condition, accept: right, reject: otherwise };
                    let value = function.expressions.append(select, span);
                    flat.push(Statement::Emit(Range::new_from_bounds(value, value)), span);
                    flat.push(Statement::Store { pointer, value }, span);
                }
                None => flat.push(Statement::If { condition, accept, reject }, span),
            },
            other => flat.push(other, span),
        }
    }
    flat
}

/// The variable, the right side and what stands for it of a branch that naga made of `&&` or `||`, and that may go.
fn logical(
    function: &Function,
    globals: &Arena<GlobalVariable>,
    pure: &[bool],
    accept: &Block,
    reject: &Block,
) -> Option<(Handle<Expression>, Handle<Expression>, Handle<Expression>)> {
    let scope = Scope::of(function, globals, pure);
    let [Statement::Store { pointer, value: otherwise }] = reject[..] else { return None };
    let Statement::Store { pointer: same, value: right } = *accept.last()? else { return None };
    let wanted = pointer == same && scope.is_temporary(pointer) && scope.computes(accept);
    wanted.then_some((pointer, right, otherwise))
}

/// What is known where a function is looked at.
#[derive(Clone, Copy)]
struct Scope<'a> {
    expressions: &'a Arena<Expression>,
    locals: &'a Arena<LocalVariable>,
    globals: &'a Arena<GlobalVariable>,
    pure: &'a [bool],
}

impl<'a> Scope<'a> {
    fn of(function: &'a Function, globals: &'a Arena<GlobalVariable>, pure: &'a [bool]) -> Self {
        Self { expressions: &function.expressions, locals: &function.local_variables, globals, pure }
    }

    /// Whether naga made the variable, for `&&`, `||` or as an intermediate.
    fn is_temporary(&self, pointer: Handle<Expression>) -> bool {
        match self.expressions[pointer] {
            Expression::LocalVariable(variable) => self.locals[variable].name.is_none(),
            _ => false,
        }
    }

    /// Whether the statements can do no more than compute.
    fn computes(&self, block: &Block) -> bool {
        block.iter().all(|statement| match statement {
            Statement::Emit(range) => range.clone().all(|expression| self.is_harmless(expression)),
            Statement::Call { function, .. } => self.pure[function.index()],
            Statement::Store { pointer, .. } => self.is_temporary(*pointer),
            Statement::Return { .. } => true,
            _ => false,
        })
    }

    fn is_harmless(&self, expression: Handle<Expression>) -> bool {
        match self.expressions[expression] {
            Expression::Load { pointer } => self.is_near(pointer),
            Expression::Binary { op, .. } => !matches!(op, BinaryOperator::Divide | BinaryOperator::Modulo),
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::ZeroValue(_)
            | Expression::Compose { .. }
            | Expression::AccessIndex { .. }
            | Expression::Splat { .. }
            | Expression::Swizzle { .. }
            | Expression::Unary { .. }
            | Expression::Select { .. }
            | Expression::Relational { .. }
            | Expression::Math { .. }
            | Expression::As { .. } => true,
            _ => false,
        }
    }

    /// Whether a pointer cannot be out of bounds, and what it points at costs nothing to read.
    fn is_near(&self, pointer: Handle<Expression>) -> bool {
        match self.expressions[pointer] {
            Expression::AccessIndex { base, .. } => self.is_near(base),
            Expression::LocalVariable(_) => true,
            Expression::GlobalVariable(variable) => self.globals[variable].space == AddressSpace::Uniform,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::naga::{
        front::wgsl,
        valid::{Capabilities, ValidationFlags, Validator},
    };

    fn branches(block: &Block) -> usize {
        let of = |statement: &Statement| match statement {
            Statement::Block(block) => branches(block),
            Statement::If { accept, reject, .. } => 1 + branches(accept) + branches(reject),
            Statement::Loop { body, continuing, .. } => branches(body) + branches(continuing),
            _ => 0,
        };
        block.iter().map(of).sum()
    }

    /// Branches of a body before and after.
    fn flattened(body: &str) -> (usize, usize) {
        let text = format!(
            "@group(0) @binding(0) var<uniform> params: vec4<u32>;
             @group(0) @binding(1) var<storage, read_write> buffer: array<u32>;
             fn small(x: u32) -> bool {{ return x < 10u && x != 3u; }}
             fn stored(x: u32) -> bool {{ return buffer[x] == 1u; }}
             @compute @workgroup_size(1) fn kernel(@builtin(global_invocation_id) id: vec3<u32>) {{
                 let a = id.x;
                 let b = id.y;
                 var c = id.z;
                 {body}
                 buffer[0] = c;
             }}"
        );
        let mut module = wgsl::parse_str(&text).expect("parses");
        let count = |module: &Module| branches(&module.entry_points[0].function.body);
        let before = count(&module);
        flatten(&mut module);
        Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).expect("still valid");
        (before, count(&module))
    }

    #[test]
    fn what_only_computes_is_flat() {
        assert_eq!(flattened("c = select(0u, 1u, a == 1u && b < 2u);"), (1, 0));
        assert_eq!(flattened("c = select(0u, 1u, a == 1u || b < 2u || c > 3u);"), (2, 0));
        assert_eq!(flattened("c = select(0u, 1u, a == 1u || (params.y == 2u && !(c > 3u && b == 1u)));"), (3, 0));
        assert_eq!(flattened("c = select(0u, 1u, a == 1u && small(b));"), (1, 0));
        assert_eq!(flattened("loop { if (a == 1u || b == 1u) { break; } c += 1u; }"), (2, 1));
    }

    #[test]
    fn what_reads_far_or_divides_keeps_its_branch() {
        assert_eq!(flattened("c = select(0u, 1u, a < 4u && buffer[a] == 2u);"), (1, 1));
        assert_eq!(flattened("c = select(0u, 1u, a < 4u && stored(a));"), (1, 1));
        assert_eq!(flattened("c = select(0u, 1u, a != 0u && b / a == 2u);"), (1, 1));
        assert_eq!(flattened("c = select(0u, 1u, a < 4u && (b == 1u || buffer[a] == 2u));"), (2, 2));
    }

    #[test]
    fn branches_of_the_text_stay() {
        assert_eq!(flattened("var d: bool; if (a == 1u) { d = b == 1u; } else { d = false; } c = u32(d);"), (1, 1));
        assert_eq!(flattened("if (a == 1u) { c = b; }"), (1, 1));
    }
}
