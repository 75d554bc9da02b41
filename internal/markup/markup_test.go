package markup

import "testing"

// Text of others stays text, in elements and in attributes.
func TestTextStaysText(t *testing.T) {
	const evil = `</p><script>alert("1")</script>'"&`
	var p Page
	p.Element(`p class="x"`, evil)
	p.Raw("<a")
	p.Attribute("title", evil)
	p.Raw(">")
	const escaped = "&lt;/p&gt;&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&#39;&#34;&amp;"
	if got, want := p.String(), `<p class="x">`+escaped+`</p><a title="`+escaped+`">`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
