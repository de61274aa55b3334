package sample

import "strings"

// topic is a field of life with words of its own. Inside a topic the words are
// tied together: an agent has acts it does more than others, an act has its own
// objects, a thing its own qualities and motions, a place its own preposition.
// Those ties are what a model can learn beyond the frequency of single words.
type topic struct {
	name   string
	agents []string
	acts   []act
	things []thing
	places []place
}

// act is a transitive verb (base form) with the things it is done to.
type act struct {
	verb    string
	objects []int // indices into things
}

// thing is a noun with its adjectives and intransitive verbs (base form).
type thing struct {
	noun      string
	qualities []string
	motions   []string
}

type place struct{ preposition, noun string }

// lexicon holds the topics. Each line reads: "noun=quality,quality/motion" for
// things, "verb=object,object" for acts, "preposition:noun" for places. All
// nouns and verbs are regular, so that inflect.go stays small.
var lexicon = []struct{ name, agents, things, acts, places string }{
	{
		"harbour",
		"sailor pilot fisher captain diver shipwright",
		"net=wet,torn/dangle sail=torn,white/flutter boat=small,wooden/drift ship=tall,heavy/drift anchor=heavy,rusty/dangle tide=low,strong/turn lighthouse=tall,lonely/flash rope=wet,thick/loosen hull=rusty,broad/creak barrel=round,salty/roll wave=strong,salty/tumble gull=white,noisy/circle",
		"mend=net,sail steer=boat,ship lower=anchor,sail watch=tide,lighthouse haul=rope,net paint=hull,boat load=barrel,ship follow=gull,tide cross=wave,tide tighten=rope,sail",
		"in:harbour on:quay along:coast near:reef beside:pier",
	},
	{
		"mountain",
		"climber shepherd guide hermit miner ranger",
		"ridge=steep,narrow/loom glacier=frozen,blue/expand boulder=heavy,grey/tumble peak=steep,snowy/loom trail=narrow,stony/climb cave=dark,cold/echo eagle=proud,lonely/soar goat=stubborn,shaggy/scramble avalanche=sudden,snowy/roar lantern=dim,smoky/flicker pickaxe=sharp,worn/glint crystal=blue,sharp/glint",
		"climb=ridge,peak measure=glacier,peak dislodge=boulder,avalanche explore=cave,trail track=eagle,goat survey=ridge,trail lift=lantern,boulder sharpen=pickaxe,crystal collect=crystal,pickaxe fear=avalanche,cave",
		"above:valley on:summit below:cliff across:pass inside:quarry",
	},
	{
		"farm",
		"farmer miller dairymaid shearer beekeeper gardener",
		"field=muddy,wide/ripen barley=golden,ripe/ripen orchard=shady,fruitful/blossom plough=iron,muddy/furrow haystack=golden,dusty/smoulder cow=gentle,brown/graze horse=gentle,tired/graze beehive=busy,golden/buzz fence=crooked,wooden/lean seed=tiny,ripe/sprout apple=ripe,sour/ripen wagon=wooden,dusty/rattle",
		"harvest=barley,apple plant=orchard,seed pull=plough,wagon milk=cow,goat stack=haystack,barley tend=beehive,orchard repair=fence,wagon harness=horse,cow scatter=seed,apple measure=field,fence",
		"in:meadow behind:barn beside:well across:pasture near:henhouse",
	},
	{
		"music",
		"violinist singer drummer composer conductor piper",
		"melody=sweet,slow/linger violin=delicate,varnished/tremble drum=loud,hollow/thunder flute=silver,delicate/whistle chorus=loud,joyful/swell symphony=solemn,famous/unfold ballad=slow,mournful/linger rehearsal=tiring,joyful/resume trumpet=silver,brassy/blare organ=solemn,hollow/thunder audience=silent,joyful/applaud rhythm=slow,steady/quicken",
		"compose=symphony,ballad tune=violin,organ beat=drum,rhythm perform=symphony,melody polish=trumpet,flute direct=chorus,rehearsal charm=audience,chorus whistle=melody,ballad borrow=violin,flute praise=trumpet,audience",
		"in:theatre on:stage inside:chapel behind:curtain near:gallery",
	},
	{
		"sky",
		"astronomer observer navigator lecturer calculator stargazer",
		"star=distant,bright/twinkle comet=bright,rare/return planet=distant,giant/rotate telescope=polished,giant/rotate eclipse=rare,brief/darken moon=pale,full/wane orbit=regular,distant/widen nebula=pale,faint/glow meteor=brief,faint/streak constellation=ancient,bright/twinkle calendar=ancient,regular/repeat mirror=polished,curved/glow",
		"observe=comet,planet predict=eclipse,comet adjust=telescope,mirror calculate=orbit,eclipse sketch=nebula,moon count=star,meteor discover=planet,nebula name=constellation,star correct=calendar,orbit polish=mirror,telescope",
		"at:observatory above:horizon under:dome on:rooftop beyond:equator",
	},
	{
		"forest",
		"woodcutter hunter forester wanderer charcoal-burner trapper",
		"oak=gnarled,mossy/sway birch=slender,silvery/sway rabbit=shy,swift/vanish mushroom=poisonous,mossy/sprout stream=shallow,swift/murmur owl=silent,wise/hoot nest=hidden,mossy/sway bramble=thorny,tangled/multiply squirrel=swift,red/vanish path=hidden,tangled/narrow axe=blunt,steel/glint bonfire=smoky,crackling/smoulder",
		"topple=oak,birch chase=rabbit,squirrel gather=mushroom,bramble follow=path,stream kindle=bonfire,lantern imitate=owl,stream sharpen=axe,bramble guard=nest,bonfire climb=oak,birch startle=owl,rabbit",
		"in:clearing through:thicket under:canopy beside:marsh near:hollow",
	},
	{
		"bakery",
		"baker cook apprentice grocer innkeeper confectioner",
		"dough=soft,sticky/expand oven=hot,brick/smoke loaf=crusty,warm/cool flour=white,fine/settle butter=soft,yellow/melt pastry=crusty,sweet/crumble kettle=hot,copper/boil sugar=fine,sweet/melt soup=hot,thick/simmer honey=sticky,yellow/trickle spoon=copper,clean/clatter recipe=secret,simple/vary",
		"knead=dough,butter heat=oven,kettle slice=loaf,pastry sift=flour,sugar taste=soup,honey follow=recipe season=soup,dough decorate=pastry,loaf pour=honey,kettle wash=spoon,kettle",
		"in:kitchen on:counter inside:cellar behind:hearth at:inn",
	},
	{
		"weaving",
		"weaver tailor dyer spinner draper seamstress",
		"loom=creaking,wooden/rattle thread=fine,silken/fray wool=coarse,warm/unravel needle=sharp,slender/glint cloth=coarse,striped/fade dye=crimson,costly/fade pattern=striped,intricate/repeat carpet=intricate,crimson/unroll button=round,ivory/loosen coat=striped,warm/unravel spindle=slender,wooden/whirl ribbon=silken,crimson/flutter",
		"embroider=cloth,carpet thread=needle,loom comb=wool,thread mix=dye,wool trace=pattern,ribbon stitch=coat,button measure=cloth,ribbon repair=loom,spindle fold=coat,carpet admire=pattern,carpet",
		"in:workshop at:fair on:shelf inside:wardrobe near:window",
	},
	{
		"printing",
		"printer editor bookseller scribe librarian translator",
		"manuscript=faded,precious/yellow press=inky,iron/clank page=blank,torn/yellow novel=popular,lengthy/inspire dictionary=lengthy,reliable/expand newspaper=popular,weekly/circulate ink=black,inky/dry letter=sealed,faded/arrive margin=blank,narrow/widen poem=lyrical,short/circulate index=alphabetical,reliable/expand binding=leather,precious/crack",
		"print=newspaper,novel translate=poem,novel copy=manuscript,letter turn=page,press spill=ink,letter compile=dictionary,index catalogue=manuscript,binding publish=poem,newspaper clean=press,binding correct=margin,page",
		"in:library on:desk inside:archive at:bookshop beside:inkwell",
	},
	{
		"pottery",
		"potter glazier kilnkeeper sculptor collector enameller",
		"kiln=glowing,brick/cool clay=soft,damp/harden vase=fragile,painted/shatter bottle=green,fragile/shatter bead=painted,tiny/sparkle furnace=glowing,smoky/roar goblet=engraved,fragile/sparkle tile=glazed,square/crack statue=marble,broken/crumble chisel=blunt,steel/scrape glaze=glossy,green/harden bowl=glazed,shallow/crack",
		"shape=clay,bowl fire=kiln,tile glaze=vase,tile fill=bottle,goblet stoke=furnace,kiln carve=statue,tile polish=goblet,bead collect=vase,bead drop=bottle,chisel examine=glaze,statue",
		"in:studio on:pedestal inside:showroom beside:wheel at:museum",
	},
	{
		"railway",
		"engineer conductor stoker signaller passenger surveyor",
		"locomotive=powerful,black/hiss bridge=arched,iron/span tunnel=dark,arched/echo signal=red,distant/flash carriage=crowded,comfortable/rattle boiler=powerful,leaky/hiss timetable=printed,punctual/change wheel=iron,spoked/turn ticket=printed,cheap/expire freight=heavy,costly/arrive rail=iron,parallel/curve whistle=shrill,distant/sound",
		"inspect=bridge,rail widen=tunnel,bridge obey=signal,timetable start=locomotive,carriage repair=boiler,wheel punch=ticket,rail board=carriage,locomotive oil=wheel,rail unload=freight,carriage sound=whistle,signal",
		"at:station on:platform across:viaduct inside:depot along:embankment",
	},
	{
		"medicine",
		"physician nurse surgeon apothecary patient dentist",
		"fever=high,dangerous/worsen herb=bitter,medicinal/wither wound=deep,painful/heal bandage=clean,sterile/loosen remedy=bitter,effective/help bone=fractured,fragile/heal pulse=weak,rapid/quicken syringe=sterile,slender/leak symptom=painful,mild/worsen ointment=medicinal,soothing/help epidemic=dangerous,widespread/widen vaccine=effective,safe/help",
		"treat=fever,wound brew=herb,remedy fasten=bandage,wound prescribe=remedy,ointment examine=bone,symptom check=pulse,symptom fill=syringe,vaccine prevent=epidemic,fever apply=ointment,bandage test=vaccine,remedy",
		"in:hospital at:clinic inside:laboratory beside:bed across:ward",
	},
	{
		"market",
		"merchant banker broker customer pedlar auctioneer",
		"coin=golden,counterfeit/jingle spice=fragrant,exotic/vanish contract=written,binding/expire price=fair,rising/vary debt=unpaid,rising/double silk=exotic,luxurious/shimmer cargo=luxurious,valuable/arrive scale=brass,accurate/wobble profit=modest,fair/double tax=unpaid,unfair/double ledger=accurate,leather/balance jewel=valuable,counterfeit/shimmer",
		"weigh=spice,jewel sign=contract,ledger collect=debt,tax lower=price,tax trade=silk,spice count=coin,profit auction=jewel,cargo inspect=cargo,scale balance=ledger,scale calculate=profit,price",
		"in:bazaar at:exchange inside:warehouse beside:stall across:square",
	},
	{
		"winter",
		"skater trapper explorer courier skier trader",
		"blizzard=fierce,blinding/howl sledge=swift,loaded/glide icicle=frozen,slender/melt snowdrift=deep,blinding/melt stove=glowing,smoky/crackle frost=bitter,fierce/glitter blanket=woollen,thick/warm lake=frozen,wide/thaw fox=hungry,grey/howl glove=woollen,lost/vanish tent=canvas,frozen/flutter compass=brass,broken/tremble",
		"survive=blizzard,frost pull=sledge,tent shovel=snowdrift,tent kindle=stove,lantern cross=lake,snowdrift hunt=fox borrow=glove,blanket pitch=tent,stove trust=compass,sledge melt=icicle,frost",
		"in:cabin across:tundra near:pole beside:fireside on:slope",
	},
}

// topics parses the lexicon. Objects that are not among a topic's things become
// plain things of it.
func topics() []topic {
	out := make([]topic, 0, len(lexicon))
	for _, l := range lexicon {
		t := topic{name: l.name, agents: strings.Fields(l.agents)}
		index := map[string]int{}
		for _, f := range strings.Fields(l.things) {
			noun, rest, _ := strings.Cut(f, "=")
			qualities, motions, _ := strings.Cut(rest, "/")
			index[noun] = len(t.things)
			t.things = append(t.things, thing{noun, strings.Split(qualities, ","), strings.Split(motions, ",")})
		}
		for _, f := range strings.Fields(l.acts) {
			verb, objects, _ := strings.Cut(f, "=")
			a := act{verb: verb}
			for _, o := range strings.Split(objects, ",") {
				if _, ok := index[o]; !ok {
					index[o] = len(t.things)
					t.things = append(t.things, thing{o, []string{"plain", "new"}, []string{"remain", "appear"}})
				}
				a.objects = append(a.objects, index[o])
			}
			t.acts = append(t.acts, a)
		}
		for _, f := range strings.Fields(l.places) {
			preposition, noun, _ := strings.Cut(f, ":")
			t.places = append(t.places, place{preposition, noun})
		}
		out = append(out, t)
	}
	return out
}
