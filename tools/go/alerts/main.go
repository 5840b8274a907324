// Command alerts evaluates Prometheus' alerting rules and queries over pages of metrics, with Prometheus' own engine.
//
// Standard input is one JSON object, see `input`; standard output one, see `output`. Pages are scraped every interval,
// from 0 to `until`, and rules evaluated as often. Rules and queries that Prometheus refuses end it with 1.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type input struct {
	Rules   string        `json:"rules"`   // a file of rules: YAML with `groups`
	Start   float64       `json:"start"`   // Unix time of the first scrape
	Every   time.Duration `json:"every"`   // seconds between two scrapes, and two evaluations
	Until   time.Duration `json:"until"`   // seconds from the first scrape to the last
	Targets []target      `json:"targets"` // what is scraped
	Queries []string      `json:"queries"` // evaluated at the end
}

type target struct {
	Labels map[string]string `json:"labels"` // added to each of its series, as relabelling does
	Pages  []page            `json:"pages"`  // by time
}

// A page is what the target shows from a time (in seconds from the first scrape) until the next page.
type page struct {
	From time.Duration `json:"from"`
	Text *string       `json:"text"` // null: the target is down
}

type output struct {
	Rules   []string `json:"rules"` // the names of all alerts
	Firing  []alert  `json:"firing"`
	Queries []result `json:"queries"`
}

// An alert as it is at the end. Since is in seconds from the first scrape.
type alert struct {
	Name        string            `json:"name"`
	Since       float64           `json:"since"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type result struct {
	Query  string              `json:"query"`
	Series []map[string]string `json:"series"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var given input
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return err
	}
	store, err := scrape(given)
	if err != nil {
		return err
	}
	expressions := parser.NewParser(parser.Options{})
	quiet := slog.New(slog.DiscardHandler)
	groups, refused := rulefmt.Parse([]byte(given.Rules), false, model.UTF8Validation, expressions, quiet)
	if len(refused) > 0 {
		return errors.Join(refused...)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: expressions,
		EnableAtModifier: true, EnableNegativeOffset: true,
	})
	ask := func(ctx context.Context, text string, at time.Time) (promql.Vector, error) {
		query, err := engine.NewInstantQuery(ctx, store, nil, text, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		defer query.Close()
		answer := query.Exec(ctx)
		if answer.Err != nil {
			return nil, fmt.Errorf("%s: %w", text, answer.Err)
		}
		if scalar, is := answer.Value.(promql.Scalar); is {
			return promql.Vector{{T: scalar.T, F: scalar.V}}, nil
		}
		vector, err := answer.Vector()
		return slices.Clone(vector), err
	}
	made := output{Rules: []string{}, Firing: []alert{}, Queries: []result{}}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			made.Rules = append(made.Rules, rule.Alert)
			firing, err := evaluate(given, rule, ask)
			if err != nil {
				return fmt.Errorf("%s: %w", rule.Alert, err)
			}
			made.Firing = append(made.Firing, firing...)
		}
	}
	for _, text := range given.Queries {
		vector, err := ask(context.Background(), text, moment(given, given.Until))
		if err != nil {
			return err
		}
		series := make([]map[string]string, 0, len(vector))
		for _, sample := range vector {
			series = append(series, sample.Metric.Map())
		}
		made.Queries = append(made.Queries, result{text, series})
	}
	return json.NewEncoder(out).Encode(made)
}

func moment(given input, seconds time.Duration) time.Time {
	return time.UnixMilli(int64(given.Start * 1000)).Add(seconds * time.Second)
}

// evaluate follows one rule from the first scrape to the last, as rules.AlertingRule does, and returns what fires then.
func evaluate(given input, rule rulefmt.Rule, ask template.QueryFunc) ([]alert, error) {
	active := map[uint64]alert{}
	for at := time.Duration(0); at <= given.Until; at += given.Every {
		vector, err := ask(context.Background(), rule.Expr, moment(given, at))
		if err != nil {
			return nil, err
		}
		found := map[uint64]alert{}
		for _, sample := range vector {
			made, hash, err := describe(rule, sample, moment(given, at), ask)
			if err != nil {
				return nil, err
			}
			if _, twice := found[hash]; twice {
				return nil, errors.New("two alerts with the same labels")
			}
			made.Since = float64(at)
			if before, was := active[hash]; was {
				made.Since = before.Since
			}
			found[hash] = made
		}
		active = found
	}
	firing := []alert{}
	for _, each := range active {
		if float64(given.Until)-each.Since >= time.Duration(rule.For).Seconds() {
			firing = append(firing, each)
		}
	}
	slices.SortFunc(firing, func(a, b alert) int { return cmp.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)) })
	return firing, nil
}

func describe(rule rulefmt.Rule, sample promql.Sample, at time.Time, ask template.QueryFunc) (alert, uint64, error) {
	data := template.AlertTemplateData(sample.Metric.Map(), nil, "", sample)
	expand := func(text string) (string, error) {
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		when := model.TimeFromUnixNano(at.UnixNano())
		return template.NewTemplateExpander(context.Background(), text, rule.Alert, data, when, ask, nil, nil).Expand()
	}
	builder := labels.NewBuilder(sample.Metric).Del(labels.MetricName)
	for name, text := range rule.Labels {
		value, err := expand(text)
		if err != nil {
			return alert{}, 0, err
		}
		builder.Set(name, value)
	}
	words := map[string]string{}
	for name, text := range rule.Annotations {
		value, err := expand(text)
		if err != nil {
			return alert{}, 0, err
		}
		words[name] = value
	}
	found := builder.Labels()
	return alert{Name: rule.Alert, Labels: found.Map(), Annotations: words}, found.Hash(), nil
}

// memory holds the scraped series. It is a storage.Queryable and its own Querier.
type memory []*series

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

func scrape(given input) (memory, error) {
	if given.Every <= 0 {
		return nil, errors.New("every: is not a number of seconds above 0")
	}
	known := map[string]*series{}
	var store memory
	add := func(of labels.Labels, at time.Time, found float64) {
		name := of.String()
		if known[name] == nil {
			known[name] = &series{labels: of}
			store = append(store, known[name])
		}
		known[name].samples = append(known[name].samples, sample{at.UnixMilli(), found})
	}
	for _, each := range given.Targets {
		shown := map[string]labels.Labels{}
		for at := time.Duration(0); at <= given.Until; at += given.Every {
			var text *string
			for _, page := range each.Pages {
				if page.From <= at {
					text = page.Text
				}
			}
			up, before := 0.0, shown
			shown = map[string]labels.Labels{}
			if text != nil {
				up = 1
				if err := read(*text, each.Labels, func(of labels.Labels, found float64) {
					shown[of.String()] = of
					add(of, moment(given, at), found)
				}); err != nil {
					return nil, err
				}
			}
			for name, of := range before {
				if _, still := shown[name]; !still {
					add(of, moment(given, at), math.Float64frombits(value.StaleNaN))
				}
			}
			add(labelled(labels.FromStrings(labels.MetricName, "up"), each.Labels), moment(given, at), up)
		}
	}
	return store, nil
}

// read calls add for each series of a page in Prometheus' text format.
func read(page string, extra map[string]string, add func(labels.Labels, float64)) error {
	found, err := textparse.New([]byte(page), "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := found.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry == textparse.EntrySeries {
			var of labels.Labels
			found.Labels(&of)
			_, _, value := found.Series()
			add(labelled(of, extra), value)
		}
	}
}

func labelled(of labels.Labels, extra map[string]string) labels.Labels {
	builder := labels.NewBuilder(of)
	for name, value := range extra {
		builder.Set(name, value)
	}
	return builder.Labels()
}

func (store memory) Querier(_, _ int64) (storage.Querier, error) { return store, nil }
func (memory) Close() error                                      { return nil }

func (memory) LabelValues(
	context.Context, string, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.ErrUnsupported
}

func (memory) LabelNames(
	context.Context, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.ErrUnsupported
}

func (store memory) Select(
	_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher,
) storage.SeriesSet {
	selected := &set{at: -1}
	for _, each := range store {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(each.labels.Get(m.Name)) }) {
			selected.of = append(selected.of, each)
		}
	}
	slices.SortFunc(selected.of, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return selected
}

type set struct {
	of []*series
	at int
}

func (s *set) Next() bool { s.at++; return s.at < len(s.of) }
func (s *set) At() storage.Series {
	return storage.NewListSeries(s.of[s.at].labels, s.of[s.at].samples)
}
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }
