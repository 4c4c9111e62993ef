package pictures

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

// A picture of more colours than a palette has keeps the frequent ones as they are, and a rare one that is
// unlike all others nearly so.
func TestCompact(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 200, 200))
	for y := range 200 {
		for x := range 200 {
			img.Set(x, y, color.RGBA{250, 250, 250, 255})
			if y < 40 {
				img.Set(x, y, color.RGBA{uint8(x), uint8(x), uint8(150 + y), 255})
			}
		}
	}
	red := color.RGBA{220, 20, 20, 255}
	img.Set(100, 100, red)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	text, err := compact(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []image.Point{{0, 199}, {100, 100}} {
		want := img.RGBAAt(at.X, at.Y)
		if c := color.RGBAModel.Convert(got.At(at.X, at.Y)); c != want {
			t.Errorf("at %v it is %v, not %v", at, c, want)
		}
	}
	for x := range 200 {
		c := color.RGBAModel.Convert(got.At(x, 20)).(color.RGBA)
		if d := distance(c, img.RGBAAt(x, 20)); d > 24*24 {
			t.Errorf("at %d,20 it is %v, not %v", x, c, img.RGBAAt(x, 20))
		}
	}
}
