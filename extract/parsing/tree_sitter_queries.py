"""The tree-sitter queries, one per grammar family.

Every query is flat: each match is one function with its name and the wrapper that starts it, or
one comment, decorator or overload signature. Which comment belongs to which function is decided
afterwards by byte arithmetic (`attach`), because the `(comment)* . (function)` patterns that
grammars ship are quadratic in runs of comments.

Captures: `@def` a function with a body; `@name` its name; `@anchor` the wrapper (export,
declaration, visibility call) whose start is the real start; `@doc` the first statement of a
Python body; `@comment`; `@decorator` a sibling that belongs to the next function's text;
`@skip` a sibling that may stand between a function and its documentation (overload signatures,
which must have its name, `@signature`; Sorbet's `sig`: `@called` is compared by `attach`, since a
predicate would read the text of a tree that has none); `@scope` what functions stand in, with its
name, `@of`; `@module` a Rust module, which may be one of tests.
Limits: functions passed as arguments (callbacks) are left out on purpose: their only name is
that of the function that takes them. So are accessors of properties, and the conversion
operators and the lambdas of C++. A C function is found behind two pointers at most.
"""

from __future__ import annotations

PYTHON = """
(function_definition name: (identifier) @name) @def
(function_definition body: (block . (comment)* .
  (expression_statement . [(string) (concatenated_string) (parenthesized_expression)] @doc))) @def
(decorated_definition definition: (function_definition) @def) @anchor
(class_definition name: (identifier) @of) @scope
"""

JAVA = """
(method_declaration name: (identifier) @name body: (block)) @def
(constructor_declaration name: (identifier) @name) @def
(compact_constructor_declaration name: (identifier) @name) @def
(class_declaration name: (identifier) @of) @scope
(interface_declaration name: (identifier) @of) @scope
(enum_declaration name: (identifier) @of) @scope
(record_declaration name: (identifier) @of) @scope
(block_comment) @comment
(line_comment) @comment
"""

GO = """
(function_declaration name: (identifier) @name body: (block)) @def
(method_declaration receiver: (parameter_list) @of
  name: (field_identifier) @name body: (block)) @def @scope
(comment) @comment
"""

PHP = """
(function_definition name: (name) @name) @def
(method_declaration name: (name) @name body: (compound_statement)) @def
(class_declaration name: (name) @of) @scope
(interface_declaration name: (name) @of) @scope
(trait_declaration name: (name) @of) @scope
(enum_declaration name: (name) @of) @scope
(comment) @comment
"""

RUBY = """
(method name: (_) @name) @def
(singleton_method name: (_) @name) @def
(call arguments: (argument_list [(method) (singleton_method)] @def .)) @anchor
(call method: (identifier) @called block: (_)) @skip
(class name: (_) @of) @scope
(module name: (_) @of) @scope
(assignment left: (constant) @of right: (call block: (_))) @scope
(comment) @comment
"""

RUST = """
(function_item name: (identifier) @name) @def
(line_comment) @comment
(block_comment) @comment
(attribute_item) @decorator
(mod_item name: (identifier) @of body: (_)) @module @scope
(trait_item name: (_) @of) @scope
(impl_item type: (_) @of) @scope
"""

_FN = "[(arrow_function) (function_expression) (generator_function)]"
_HOLDER = "[(class) (object)]"
_BOUND = f"(variable_declarator name: (identifier) @name value: {_FN} @def)"

_ECMASCRIPT = f"""
(function_declaration name: (_) @name) @def
(generator_function_declaration name: (_) @name) @def
(method_definition name: (_) @name) @def
(variable_declarator name: (identifier) @name value: {_FN} @def) @anchor
(lexical_declaration . {_BOUND}) @anchor
(variable_declaration . {_BOUND}) @anchor
(export_statement
  declaration: [(function_declaration) (generator_function_declaration)] @def) @anchor
(export_statement value: {_FN} @def) @anchor
(export_statement declaration: (lexical_declaration . {_BOUND})) @anchor
(export_statement declaration: (variable_declaration . {_BOUND})) @anchor
(expression_statement (assignment_expression left: (_) @name right: {_FN} @def)) @anchor
(expression_statement (assignment_expression
  right: (assignment_expression left: (_) @name right: {_FN} @def))) @anchor
(expression_statement (augmented_assignment_expression left: (_) @name right: {_FN} @def)) @anchor
(pair key: (_) @name value: {_FN} @def) @anchor
(class_declaration name: (_) @of) @scope
(class name: (_) @of) @scope
(variable_declarator name: (identifier) @of value: {_HOLDER}) @scope
(assignment_expression left: (_) @of right: {_HOLDER}) @scope
(comment) @comment
"""

JAVASCRIPT = (
    _ECMASCRIPT
    + f"""
(field_definition property: (_) @name value: {_FN} @def) @anchor
"""
)

TYPESCRIPT = (
    _ECMASCRIPT
    + f"""
(public_field_definition name: (_) @name value: {_FN} @def) @anchor
(class_body (decorator) @decorator)
(abstract_class_declaration name: (_) @of) @scope
(internal_module name: (_) @of) @scope
(function_signature name: (_) @signature) @skip
(export_statement declaration: (function_signature name: (_) @signature)) @skip
(method_signature name: (_) @signature) @skip
"""
)

_FUNCTION = "(function_declarator declarator: (_) @name)"
_C_DECLARATORS = f"""
  {_FUNCTION}
  (pointer_declarator declarator: {_FUNCTION})
  (pointer_declarator declarator: (pointer_declarator declarator: {_FUNCTION}))
"""

C = f"""
(function_definition declarator: [{_C_DECLARATORS}] body: (compound_statement)) @def
(comment) @comment
"""

CPP = f"""
(function_definition declarator: [{_C_DECLARATORS} (reference_declarator {_FUNCTION})]
  body: [(compound_statement) (try_statement)]) @def
(template_declaration (function_definition) @def) @anchor
(template_declaration (template_declaration (function_definition) @def)) @anchor
(friend_declaration (function_definition) @def) @anchor
(linkage_specification body: (function_definition) @def) @anchor
(class_specifier name: (_) @of) @scope
(struct_specifier name: (_) @of) @scope
(namespace_definition name: (_) @of) @scope
(comment) @comment
"""

CSHARP = """
(method_declaration name: (identifier) @name body: (_)) @def
(constructor_declaration name: (identifier) @name body: (_)) @def
(local_function_statement name: (identifier) @name body: (_)) @def
(operator_declaration operator: _ @name body: (_)) @def
(class_declaration name: (_) @of) @scope
(interface_declaration name: (_) @of) @scope
(struct_declaration name: (_) @of) @scope
(record_declaration name: (_) @of) @scope
(enum_declaration name: (_) @of) @scope
(comment) @comment
"""

KOTLIN = """
(function_declaration name: (identifier) @name (function_body)) @def
(secondary_constructor "constructor" @name (block)) @def
(class_declaration name: (_) @of) @scope
(object_declaration name: (_) @of) @scope
(block_comment) @comment
(line_comment) @comment
"""

SCALA = """
(function_definition name: (_) @name body: (_)) @def
(class_definition name: (_) @of) @scope
(object_definition name: (_) @of) @scope
(trait_definition name: (_) @of) @scope
(enum_definition name: (_) @of) @scope
(block_comment) @comment
(comment) @comment
"""

SWIFT = """
(function_declaration name: (simple_identifier) @name body: (function_body)) @def
(function_declaration body: (function_body)) @def
(init_declaration "init" @name body: (function_body)) @def
(class_declaration name: (_) @of) @scope
(protocol_declaration name: (_) @of) @scope
(comment) @comment
(multiline_comment) @comment
"""
