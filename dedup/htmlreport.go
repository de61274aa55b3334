package dedup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/page"
)

const (
	largestClusters = 10
	shownMembers    = 3
	reportExcerpt   = 300
)

// cluster is one document that stays with the marks that name it.
type cluster struct {
	source, id string
	size       int64    // marks
	members    []member // the first ones
	sources    int      // of the documents marked
}

type member struct {
	source, id string
	start, end int64
	score      float64
}

// WritePage writes what rules found as an HTML page that needs nothing else: what
// was marked in each source and for which source's documents, clusters by size and
// the largest of them with the beginnings of their texts, and, of MinHash, how often
// pairs of each similarity collide beside how often they should. The marks of the
// rules must be on disk.
func WritePage(ctx context.Context, cfg Config, reports []*Report, w io.Writer) error {
	if err := cfg.setDefaults(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	p := page.New("Duplicates in " + strings.Join(cfg.Sources, ", "))
	p.Para("Nothing was removed: each rule wrote marks, and whoever reads the documents chooses which of them count. " +
		"Every mark names what it repeats; corpus explain ID shows the two side by side.")
	for _, r := range reports {
		if err := rulePage(ctx, &cfg, p, r); err != nil {
			return fmt.Errorf("writing the report of rule %s: %w", r.Rule, err)
		}
	}
	if _, err := p.WriteTo(w); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func rulePage(ctx context.Context, cfg *Config, p *page.Page, r *Report) error {
	p.Heading("Rule " + r.Rule)
	for _, warning := range r.Warnings {
		p.Para("Alarm: " + warning)
	}
	var rows [][]string
	names := make([]string, len(r.Sources))
	values := make([][]float64, len(r.Sources))
	for i, s := range r.Sources {
		share := 0.0
		if s.Documents > 0 {
			share = 100 * float64(s.Marked) / float64(s.Documents)
		}
		rows = append(rows, []string{s.Source, fmt.Sprint(s.Documents), fmt.Sprint(s.Marked), fmt.Sprintf("%.2f", share), fmt.Sprint(s.MarkedBytes)})
		names[i], values[i] = s.Source, make([]float64, len(r.Sources))
		for _, k := range s.KeptIn {
			if j := slices.IndexFunc(r.Sources, func(s SourceReport) bool { return s.Source == k.Source }); j >= 0 {
				values[i][j] = float64(k.Count)
			}
		}
	}
	p.Table("What was marked", []string{"source", "documents", "marked", "% marked", "bytes marked"}, rows)
	p.Para("Marks by source: the documents marked are of the row's source, those that stay of the column's. Within sources on the diagonal, across them beside it.")
	p.Matrix("marked \\ kept", names, values)
	sizes, largest, err := clustersOnDisk(ctx, cfg, r.Rule)
	if err != nil {
		return err
	}
	var labels []string
	var counts []float64
	for i, n := range sizes {
		if i > 0 && (n > 0 || len(labels) > 0) {
			label := "2"
			if i > 1 {
				label = fmt.Sprintf("%d-%d", 1<<(i-1)+1, int64(1)<<i)
			}
			labels, counts = append(labels, label), append(counts, float64(n))
		}
	}
	for len(counts) > 0 && counts[len(counts)-1] == 0 {
		labels, counts = labels[:len(labels)-1], counts[:len(counts)-1]
	}
	if len(labels) > 0 {
		p.Bars("Clusters by size", "a document that stays and what is marked for it", "clusters", labels, counts)
	}
	if r.Rule == RuleMinHash {
		if err := minHashPage(p, r); err != nil {
			return err
		}
	}
	return excerptsPage(ctx, cfg, p, largest)
}

// minHashPage draws the collision curve and the similarities that were found.
func minHashPage(p *page.Page, r *Report) error {
	var f MinHashFigures
	if err := json.Unmarshal(r.Figures, &f); err != nil {
		return fmt.Errorf("reading the figures: %w", err)
	}
	x, measured, analytic := CollisionCurve(f.MinHashOptions)
	p.Lines(fmt.Sprintf("How often pairs are nominated: %d bands of %d rows, threshold %g", f.Bands, f.Rows, f.Threshold), "Jaccard similarity", "share nominated",
		page.Series{Name: "measured, 400 pairs each", X: x, Y: measured, Points: true}, page.Series{Name: "1-(1-s^rows)^bands", X: x, Y: analytic})
	p.Para(fmt.Sprintf("%s pairs were nominated, %s compared, %s of them at or above the threshold. A nominated pair below it costs time and is not marked.",
		page.Number(float64(f.Pairs)), page.Number(float64(f.Compared)), page.Number(float64(f.Similar))))
	var labels []string
	var values []float64
	for i, n := range f.BySimilarity {
		if float64(i+1)/20 > f.Threshold {
			labels, values = append(labels, fmt.Sprintf("%.2f", float64(i)/20)), append(values, float64(n))
		}
	}
	p.Bars("Pairs at or above the threshold by similarity", "Jaccard similarity, from", "pairs", labels, values)
	return nil
}

// CollisionCurve measures how often pairs of sets of each Jaccard similarity, made
// at random, share a band under the hash functions of o, and computes how often
// they should (CollisionProbability).
func CollisionCurve(o MinHashOptions) (similarity, measured, analytic []float64) {
	const pairs, size = 400, 200
	perms := newPermutations(o.Bands*o.Rows, o.Seed)
	rng := rand.New(rand.NewPCG(o.Seed, 0x63757276))
	a, b := make([]uint64, size), make([]uint64, size)
	x, y := make([]uint32, len(perms.a)), make([]uint32, len(perms.a))
	var p, q []uint64
	for level := 2; level <= 20; level++ {
		// Of so many common elements in two sets of one size.
		s := float64(level) / 20
		common := int(math.Round(2 * size * s / (1 + s)))
		collided := 0
		for range pairs {
			for i := range a {
				a[i] = rng.Uint64()
				if b[i] = a[i]; i >= common {
					b[i] = rng.Uint64()
				}
			}
			resetSignature(x)
			resetSignature(y)
			perms.update(x, a)
			perms.update(y, b)
			p, q = bandHashes(p[:0], x, o.Bands, o.Rows), bandHashes(q[:0], y, o.Bands, o.Rows)
			for i := range p {
				if p[i] == q[i] {
					collided++
					break
				}
			}
		}
		s = float64(common) / float64(2*size-common)
		similarity = append(similarity, s)
		measured = append(measured, float64(collided)/pairs)
		analytic = append(analytic, CollisionProbability(s, o.Bands, o.Rows))
	}
	return similarity, measured, analytic
}

// clustersOnDisk counts the clusters of a rule by size, [i] those of more than
// 2^(i-1) and up to 2^i documents or spans, and returns the largest.
func clustersOnDisk(ctx context.Context, cfg *Config, rule string) (sizes [40]int64, largest []cluster, err error) {
	dir := cfg.spillDir("report-" + rule)
	if err := clearSpill(dir); err != nil {
		return sizes, nil, err
	}
	sorted, err := extsort.New(filepath.Join(dir, "kept"), cfg.MemoryBytes/2)
	if err != nil {
		return sizes, nil, err
	}
	defer func() { err = errors.Join(err, sorted.Close(), clearSpill(dir)) }()
	for _, source := range cfg.Sources {
		for m, err := range Marks(ctx, cfg.Data, source) {
			if err != nil {
				return sizes, nil, err
			}
			if m.Rule == rule && m.Kept != "" {
				value := appendMark(nil, &m, 0)
				if err := sorted.Add([]byte(m.KeptSource+"\x00"+m.Kept), value); err != nil {
					return sizes, nil, err
				}
			}
		}
	}
	var key string
	var c cluster
	seen := map[string]bool{}
	end := func() {
		if c.size == 0 {
			return
		}
		sizes[bits.Len64(uint64(c.size))]++
		c.sources = len(seen)
		i, _ := slices.BinarySearchFunc(largest, c, func(a, b cluster) int {
			return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.source, b.source), cmp.Compare(a.id, b.id))
		})
		if largest = slices.Insert(largest, i, c); len(largest) > largestClusters {
			largest = largest[:largestClusters]
		}
	}
	for rec, err := range sorted.All(ctx) {
		if err != nil {
			return sizes, nil, err
		}
		m, _, err := parseMark(rec.Value)
		if err != nil {
			return sizes, nil, err
		}
		if k := string(rec.Key); k != key || c.size == 0 {
			end()
			key, c = k, cluster{source: m.KeptSource, id: m.Kept}
			clear(seen)
		}
		c.size++
		seen[m.Source] = true
		if len(c.members) < shownMembers {
			c.members = append(c.members, member{m.Source, m.ID, m.Start, m.End, m.Score})
		}
	}
	end()
	return sizes, largest, nil
}

// excerptsPage shows the largest clusters.
func excerptsPage(ctx context.Context, cfg *Config, p *page.Page, largest []cluster) error {
	if len(largest) == 0 {
		return nil
	}
	wanted := map[string]*ingest.Document{}
	for _, c := range largest {
		wanted[c.id] = nil
		for _, m := range c.members {
			wanted[m.id] = nil
		}
	}
	if err := findDocuments(ctx, cfg.Data, cfg.Sources, wanted); err != nil {
		return err
	}
	p.Heading("The largest clusters")
	for _, c := range largest {
		p.Para(fmt.Sprintf("%s stays, for %s in %s:", named(wanted[c.id], c.id, c.source), counted(c.size, "mark"), counted(int64(c.sources), "source")))
		p.Pre(beginningOf(wanted[c.id], -1, -1))
		for _, m := range c.members {
			where := ""
			if m.start >= 0 {
				where = fmt.Sprintf(", bytes %d to %d", m.start, m.end)
			}
			p.Para(fmt.Sprintf("marked: %s%s, score %.3f", named(wanted[m.id], m.id, m.source), where, m.score))
			p.Pre(beginningOf(wanted[m.id], m.start, m.end))
		}
	}
	return nil
}

// named says which document is meant.
func named(d *ingest.Document, id, source string) string {
	if d == nil || d.Title == "" {
		return fmt.Sprintf("%s of %s", id, source)
	}
	return fmt.Sprintf("%q (%s of %s)", d.Title, id, source)
}

func counted(n int64, what string) string {
	if n == 1 {
		return "one " + what
	}
	return page.Number(float64(n)) + " " + what + "s"
}

func beginningOf(d *ingest.Document, start, end int64) string {
	if d == nil {
		return "(it is no document of these sources)"
	}
	text := d.Text
	if start >= 0 {
		text = part(text, start, end)
	}
	if len(text) > reportExcerpt {
		return printable(strings.ToValidUTF8(text[:reportExcerpt], "")) + fmt.Sprintf(" ... (%s bytes)", page.Number(float64(len(text))))
	}
	return printable(text)
}
