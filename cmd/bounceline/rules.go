package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bounceline/configs"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/spell"
)

// ruleFlags say which rules replies are classified by.
type ruleFlags struct{ paths []string }

func (f *ruleFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.paths, "rules", nil, "files or folders of rules that are tried before the shipped ones")
}

// engine reads the rules. Mistakes in the user's own are usage errors.
func (f *ruleFlags) engine() (*classify.Engine, error) {
	e, err := classify.New(classify.Options{Program: versionName(), UserRules: f.paths})
	if err != nil && len(f.paths) > 0 {
		return nil, usagef("%w", err)
	}
	return e, err
}

func newRulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List, show, check and test the rules that replies are classified by",
		Example: `  bounceline rules list --rules my-rules.yaml
  bounceline rules show unknown-stated
  bounceline rules lint my-rules.yaml
  bounceline rules test --rules my-rules.yaml my-cases.yaml
  bounceline rules diff --rules my-rules.yaml --since 7d`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesListCommand(), newRulesShowCommand(), newRulesLintCommand(), newRulesTestCommand(), newRulesDiffCommand())
	return cmd
}

func newRulesListCommand() *cobra.Command {
	var rules ruleFlags
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rules in the order in which they are tried",
		Example: `  bounceline rules list --rules my-rules.yaml
  bounceline rules list --output csv | grep user_unknown`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			out := newScreen(cmd.OutOrStdout())
			w := newRowWriter(out, output, []string{"rule", "bounce_category", "provider", "priority", "where", "samples", "literals"})
			for _, r := range engine.Rules() {
				if err := w.Write([]any{r.ID, r.Category, r.Provider, r.Priority, fmt.Sprintf("%s:%d", r.File, r.Line), len(r.Match), len(r.Any) + len(r.All)}); err != nil {
					return err
				}
			}
			if err := w.Close(); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	rules.register(cmd)
	registerOutput(cmd, &output)
	return cmd
}

func newRulesShowCommand() *cobra.Command {
	var rules ruleFlags
	cmd := &cobra.Command{
		Use:   "show ID...",
		Short: "Show rules as they are written, with their samples",
		Long: `Show prints rules as they stand in their files, the shipped ones too. A verdict names the rule that made it; its YAML is also what
a rule of your own may begin from.`,
		Example: `  bounceline rules show blocklist-named
  bounceline rules show --rules my-rules.yaml house-filter`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name a rule; bounceline rules list has them all")
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			out := newScreen(cmd.OutOrStdout())
			for _, id := range args {
				if err := showRule(out, engine.Rules(), id); err != nil {
					return err
				}
			}
			return out.Flush()
		},
	}
	rules.register(cmd)
	return cmd
}

// showRule prints a rule's lines in its file: up to the next rule there.
func showRule(out io.Writer, rules []classify.Rule, id string) error {
	i := slices.IndexFunc(rules, func(r classify.Rule) bool { return r.ID == id })
	if i < 0 {
		ids := make([]string, len(rules))
		for k := range rules {
			ids[k] = rules[k].ID
		}
		return usagef("there is no rule %q%s", id, didYouMean(id, ids))
	}
	r := rules[i]
	read := os.ReadFile
	if !r.User {
		read = configs.Rules.ReadFile
	}
	text, err := read(r.File)
	if err != nil {
		return fmt.Errorf("rule %s: %w", id, err)
	}
	lines := strings.Split(string(text), "\n")
	end := len(lines)
	for _, other := range rules {
		if other.File == r.File && other.Line > r.Line {
			end = min(end, other.Line-1)
		}
	}
	for end > r.Line && !strings.HasPrefix(lines[end-1], " ") { // what stands above the next rule
		end--
	}
	fmt.Fprintf(out, "# %s:%d, tried as number %d of %d\n", escapeTerminal([]byte(r.File)), r.Line, i+1, len(rules))
	for _, l := range lines[r.Line-1 : end] {
		fmt.Fprintln(out, escapeTerminal([]byte(strings.TrimSuffix(l, "\r"))))
	}
	fmt.Fprintln(out)
	return nil
}

func newRulesLintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint [FILE|FOLDER...]",
		Short: "Check rules: mistakes, rules that cannot be reached, literals without effect",
		Long: `Lint reads the named rules before the shipped ones, runs all their samples, and reports every mistake with its file and line.
Without an argument it checks the shipped rules. Warnings are about what is allowed and probably not meant; they do not
change the exit code.`,
		Example: `  bounceline rules lint my-rules.yaml`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := classify.New(classify.Options{Program: versionName(), UserRules: args})
			if err != nil {
				return usagef("%w", err)
			}
			out := newScreen(cmd.OutOrStdout())
			warnings := engine.Lint(len(args) > 0)
			for _, w := range warnings {
				fmt.Fprintln(out, escapeTerminal([]byte(w)))
			}
			if len(args) > 0 && !slices.ContainsFunc(engine.Rules(), func(r classify.Rule) bool { return r.User }) {
				fmt.Fprintf(out, "%s: no rule in it\n", escapeTerminal([]byte(strings.Join(args, ", "))))
			}
			fmt.Fprintf(out, "%s, %s, rule set %s\n", spell.Count(len(engine.Rules()), "rule", "rules"), spell.Count(len(warnings), "warning", "warnings"), engine.Version())
			return out.Flush()
		},
	}
	return cmd
}

func newRulesTestCommand() *cobra.Command {
	var rules ruleFlags
	cmd := &cobra.Command{
		Use:   "test [CASES...]",
		Short: "Run the samples of the rules, and cases of your own",
		Long: `Test runs all samples of the rules, then each case of the named YAML files: a reply and the verdict that it must get. Where
they differ it prints what was expected and what came, and ends with exit code 1.

A case is a mapping. Its input is text, and where it matters smtp_code, enhanced_code, smtp_command, relay_host, recipient,
mta and status. What is expected is any of bounce_type, bounce_category, action, rule, confidence, provider, list_name and
retry_after:

  - text: "550 5.7.1 Blocked by our house filter"
    bounce_category: policy_rejected
    rule: house-filter`,
		Example: `  bounceline rules test
  bounceline rules test --rules my-rules.yaml my-cases.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			samples := 0
			for _, r := range engine.Rules() {
				samples += len(r.Match) + len(r.NoMatch)
			}
			out := newScreen(cmd.OutOrStdout())
			total, failed := 0, 0
			for _, path := range args {
				cases, err := classify.ReadExpectations(path)
				if err != nil {
					return usagef("%w", err)
				}
				for _, c := range cases {
					total++
					differences := engine.Check(c)
					if len(differences) == 0 {
						continue
					}
					failed++
					fmt.Fprintf(out, "%s:%d: %s\n", escapeTerminal([]byte(path)), c.Line, escapeTerminal([]byte(c.Case.Text)))
					for _, d := range differences {
						fmt.Fprintf(out, "  - %s: %s\n  + %s: %s\n", d.Column, escapeTerminal([]byte(d.Want)), d.Column, escapeTerminal([]byte(d.Got)))
					}
				}
			}
			fmt.Fprintf(out, "%s, %s as they must be; %s, %d not as expected\n", spell.Count(len(engine.Rules()), "rule", "rules"),
				spell.Count(samples, "sample", "samples"), spell.Count(total, "case", "cases"), failed)
			if err := out.Flush(); err != nil {
				return err
			}
			if failed > 0 {
				return fmt.Errorf("not as expected: %d of %s", failed, spell.Count(total, "case", "cases"))
			}
			return nil
		},
	}
	rules.register(cmd)
	return cmd
}
