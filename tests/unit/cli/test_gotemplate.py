"""Templates, as Go's text/template reads and shows them."""

import pytest

from coracle.cli.gotemplate import Struct, Template, TemplateError, as_json

ROW = {
    "Name": "web",
    "Code": 3,
    "On": True,
    "None": None,
    "List": ["a", "b"],
    "Map": {"b": 1, "a": 2},
    "Ports": [Struct(URL="0.0.0.0", Port=80), Struct(URL="", Port=81)],
    "Label": lambda name: f"<{name}>",
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Name }}:{{.Code}}", "web:3"),
        ("{{.On}} {{.None}}", "true <no value>"),
        ("{{.List}} {{.Map}} {{.Ports}}", "[a b] map[a:2 b:1] [{0.0.0.0 80} { 81}]"),
        ("{{.Map.a}}", "2"),
        ('{{.Label "x"}}', "<x>"),
        ("{{.Label `y` | upper}}", "<Y>"),
        ("{{json .List}}", '["a","b"]'),
        ("{{json .Name}}", '"web"'),
        ('{{join .List "-"}}', "a-b"),
        ('{{upper .Name}} {{title "ab"}} {{lower "AB"}}', "WEB Ab ab"),
        ('{{index .List 1}} {{index .Map "a"}} {{len .List}}', "b 2 2"),
        ('{{printf "%s-%d %q %v" .Name .Code .Name .On}}', 'web-3 "web" true'),
        ("{{pad .Name 1 2}}|", " web  |"),
        ("{{truncate .Name 2}}", "we"),
        ('{{if eq .Name "web"}}a{{else}}b{{end}}', "a"),
        ('{{if eq .Name "x" "web"}}a{{end}}', "a"),
        ("{{if .None}}a{{else if gt .Code 2}}b{{else}}c{{end}}", "b"),
        ("{{if and .On (ne .Code 3)}}a{{else if .None}}b{{else}}c{{end}}d", "cd"),
        ("{{if not .None}}a{{end}}", "a"),
        ("{{range .Ports}}{{.URL}}:{{.Port}}/{{$.Name}} {{end}}", "0.0.0.0:80/web :81/web "),
        ("{{range .None}}a{{else}}none{{end}}", "none"),
        ("{{range .List}}{{.}},{{end}}", "a,b,"),
        ("{{with .Map}}{{.a}}{{end}}", "2"),
        ("a {{- .Name -}} \n b", "awebb"),
        ("a{{/* nothing */}}b", "ab"),
        ('{{"{{"}} {{true}} {{-1}}', "{{ true -1"),
    ],
)
def test_what_is_shown(text, said):
    assert Template(text).render(ROW) == said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{.Nix}}", "can't evaluate field Nix"),
        ("{{.Name.More}}", "can't evaluate field More"),
        ("{{.Name", "unclosed action"),
        ("{{}}", "missing value for command"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if .On}}a", "unexpected EOF"),
        ("{{nix .Name}}", 'function "nix" not defined'),
        ("{{len .Code}}", "error calling len"),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{.Name ; .Code}}", "unexpected"),
        ("{{index .List 7}}", "error calling index"),
        ('{{printf "%d" .Name}}', "error calling printf"),
    ],
)
def test_what_cannot_be_shown_says_why(text, why):
    with pytest.raises(TemplateError, match=why.replace("{", r"\{").replace("(", r"\(")):
        Template(text).render(ROW)


def test_the_fields_that_are_asked_for():
    assert list(Template("{{.A}} {{if .B}}{{upper .C.D}}{{end}} {{$.E}} {{.}}").fields()) == ["A", "B", "C"]


def test_json_is_escaped_as_gos_is():
    assert as_json({"a": "<b> & ö", "f": print}) == '{"a":"\\u003cb\\u003e \\u0026 ö"}'
