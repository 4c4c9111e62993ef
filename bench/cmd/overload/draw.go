package main

import (
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// draw writes the curve as a picture, in the format that the name ends with.
func draw(path string, points []point) error {
	if path == "" {
		return nil
	}
	p := plot.New()
	p.Title.Text = "Goodput under overload"
	p.X.Label.Text = "offered load, times the capacity"
	p.Y.Label.Text = "calls answered in time, a second"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ticks(points))
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	got, could := make(plotter.XYs, len(points)), make(plotter.XYs, len(points))
	for i, at := range points {
		got[i] = plotter.XY{X: at.Offered, Y: at.Goodput}
		could[i] = plotter.XY{X: at.Offered, Y: min(at.Offered, 1) * capacity}
		p.Y.Max = max(p.Y.Max, at.Goodput*1.15, capacity*1.15)
	}
	ideal, err := plotter.NewLine(could)
	if err != nil {
		return err
	}
	ideal.Color, ideal.Dashes = color.Gray{Y: 150}, []vg.Length{vg.Points(4), vg.Points(3)}
	line, dots, err := plotter.NewLinePoints(got)
	if err != nil {
		return err
	}
	line.Color, line.Width = color.RGBA{R: 20, G: 100, B: 180, A: 255}, vg.Points(1.5)
	dots.Color = line.Color
	p.Add(ideal, line, dots)
	p.Legend.Add("the provider's capacity", ideal)
	p.Legend.Add("Forebay", line, dots)
	p.Legend.YOffs = vg.Points(30)
	return p.Save(16*vg.Centimeter, 9*vg.Centimeter, path)
}

func ticks(points []point) []plot.Tick {
	var all []plot.Tick
	for _, at := range points {
		all = append(all, plot.Tick{Value: at.Offered, Label: label(at.Offered)})
	}
	return all
}

func label(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
