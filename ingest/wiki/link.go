package wiki

import (
	"bytes"
	"strings"
)

// closeLink resolves the [[...]] on top: what is left of it is its label.
func (p *preprocessor) closeLink() {
	top := p.frames[len(p.frames)-1]
	seps := p.seps[top.seps:]
	p.pop() // seps stay readable until the next '|'
	inside := top.start + 2
	targetEnd := len(p.out)
	if len(seps) > 0 {
		targetEnd = seps[0].at
	}
	target := bytes.TrimSpace(p.out[inside:targetEnd])
	colon := -1
	for i, c := range target {
		switch c {
		case '\n', '[', ']', '{', '}', '<', '>':
			target = nil
		case ':':
			if colon < 0 {
				colon = i
			}
		}
		if target == nil {
			break
		}
	}
	if len(target) == 0 {
		// No link. Its brackets stay, as a reader would see them.
		p.out = append(p.out, "]]"...)
		return
	}
	var label []byte
	if len(seps) > 0 {
		label = p.out[targetEnd+1:]
	}
	if colon >= 0 && target[0] != ':' {
		switch p.linkKind(target, colon) {
		case fileLink:
			p.stats.Files++
			caption := ""
			if p.ex.opts.Captions && len(seps) > 0 {
				caption = string(p.out[seps[len(seps)-1].at+1:])
			}
			p.out = p.out[:top.start]
			if caption != "" && !imageOption(caption) {
				p.out = append(append(append(p.out, "\n\n"...), caption...), "\n\n"...)
			}
			return
		case categoryLink:
			p.stats.Categories++
			p.out = p.out[:top.start]
			return
		case languageLink:
			p.out = p.out[:top.start]
			return
		}
	}
	for len(target) > 0 && (target[0] == ':' || target[0] == ' ') {
		target = target[1:]
	}
	shown := target
	switch {
	case len(bytes.TrimSpace(label)) > 0:
		shown = label
	case len(seps) > 0:
		// The pipe trick, [[Help:Pipe (Unix)|]], shows the bare title.
		if _, title, found := bytes.Cut(target, []byte(":")); found {
			shown = title
		}
		if paren := bytes.Index(shown, []byte(" (")); paren > 0 {
			shown = shown[:paren]
		}
	}
	p.out = p.out[:top.start+copy(p.out[top.start:], shown)]
}

type linkKind uint8

const (
	pageLink linkKind = iota
	fileLink
	categoryLink
	languageLink // to the same page in another language
)

// linkKind looks at the part of a target before its colon.
func (p *preprocessor) linkKind(target []byte, colon int) linkKind {
	p.key = appendLower(p.key[:0], string(bytes.TrimSpace(target[:colon])))
	ns, known := p.ex.prefix[string(p.key)]
	switch {
	case known && ns == 6, !known && isFileName(string(target)):
		return fileLink
	case known && ns == 14:
		return categoryLink
	case !known && wikiLanguages[string(p.key)]:
		return languageLink
	}
	return pageLink
}

// isFileName says whether a link's target ends as the names of files do: wikis
// have more names for their namespace than a dump tells.
func isFileName(target string) bool {
	dot := strings.LastIndexByte(target, '.')
	if dot < 0 || len(target)-dot > 5 {
		return false
	}
	switch lower(target[dot+1:]) {
	case "jpg", "jpeg", "png", "svg", "gif", "tif", "tiff", "webp", "ogg", "oga", "ogv", "webm", "pdf", "djvu", "mid", "wav", "mp3", "flac", "stl", "xcf":
		return true
	}
	return false
}

// imageOption says whether the last part of [[File:...|...]] is no caption.
func imageOption(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	switch s {
	case "", "thumb", "thumbnail", "mini", "miniatur", "frame", "framed", "frameless", "border", "left", "right", "center", "centre", "none",
		"upright", "baseline", "middle", "sub", "super", "top", "text-top", "bottom", "text-bottom", "gauche", "droite", "vignette", "links", "rechts", "derecha", "izquierda", "miniaturadeimagen", "destra", "sinistra":
		return true
	}
	if rest, found := strings.CutSuffix(s, "px"); found {
		return strings.Trim(rest, "0123456789x ") == ""
	}
	name, _, found := strings.Cut(s, "=")
	if !found {
		return false
	}
	switch strings.TrimSpace(name) {
	case "alt", "link", "upright", "page", "class", "lang", "thumb":
		return true
	}
	return false
}

// wikiLanguages are the codes under which Wikipedias link to each other.
var wikiLanguages = languageSet(`aa ab ace ady af ak als alt am ami an ang ann anp ar arc ary arz as ast atj av avk awa ay az azb
	ba ban bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr
	ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv dz
	ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv
	ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv
	ka kaa kab kbd kbp kcg kg kge ki kj kk kl km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv lzh
	mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus mwl my myv mzn na nah nan nap nb nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nv ny
	oc olo om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru rue rup rw
	sa sah sat sc scn sco sd se sg sgs sh shi shn shy si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw syl szl szy
	ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro
	wa war wo wuu xal xh xmf yi yo yue za zea zgh zh zh-classical zh-cn zh-min-nan zh-tw zh-yue zu`)

func languageSet(codes string) map[string]bool {
	set := map[string]bool{}
	for code := range strings.FieldsSeq(codes) {
		set[code] = true
	}
	return set
}
