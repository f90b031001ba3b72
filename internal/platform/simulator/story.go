package simulator

// story is what one customer of the demo wants from the shop. It starts anew, with
// another order number, when all others have been told.
type story struct {
	name, username, language string
	link                     string // the parameter of the link they came by
	steps                    []step
	// answers are what the customer says to the shop's answers, one after the other.
	answers []string
}

// step is one thing a customer does. {order} stands for the number of an order, {bot}
// for the bot's username.
type step struct {
	does string
	text string
}

// What a step does.
const (
	says      = "says"
	shows     = "shows a picture"
	showsMany = "shows an album"
	corrects  = "corrects the last text"
	quotes    = "answers an own earlier message"
	likes     = "reacts to the shop's last answer"
	speaks    = "sends a voice message"
	attaches  = "sends a document"
	sticks    = "sends a sticker"
	points    = "sends a location"
	shares    = "shares the phone number"
	asks      = "writes in the group"
)

// shopStories are the customers of a small clothes shop.
func shopStories() []story {
	return []story{
		{
			name: "Olivia Bennett", username: "olivia_b", language: "en", link: "summer",
			steps: []step{
				{says, "Hi! Is the blue linen shirt back in size M?"},
				{shows, "I mean this one, from the summer page"},
				{corrects, "Hi! Is the blue linen shirt back in size M or L?"},
				{says, "It's a present for Saturday, so I'd need it by Friday"},
				{likes, "👍"},
			},
			answers: []string{"Oh perfect, thank you!", "Could you put one aside for me?", "You're the best 😊"},
		},
		{
			name: "Nguyễn Thị Lan", username: "lan_nguyen", language: "vi",
			steps: []step{
				{says, "Shop ơi, áo thun trắng còn size S không ạ?"},
				{shows, "Mẫu này ạ"},
				{says, "Em ở Đà Nẵng, ship khoảng mấy ngày thì tới ạ?"},
				{points, ""},
				{sticks, "🥰"},
			},
			answers: []string{"Dạ em cảm ơn shop ạ!", "Vậy em lấy 2 áo nhé", "Em chuyển khoản luôn được không ạ?"},
		},
		{
			name: "Анна Соколова", username: "", language: "ru",
			steps: []step{
				{says, "Здравствуйте! Можно вернуть кроссовки, если не подошёл размер?"},
				{says, "Заказ {order}, получила в субботу"},
				{attaches, "чек-{order}.pdf"},
				{corrects, "Заказ {order}, получила в воскресенье"},
				{likes, "❤"},
			},
			answers: []string{"Поняла, спасибо большое!", "А деньги вернутся на ту же карту?", "Хорошо, завтра отправлю"},
		},
		{
			name: "林怡君", username: "yijun_lin", language: "zh-hant",
			steps: []step{
				{says, "你好，請問這款帆布包還有現貨嗎？"},
				{shows, "就是這個顏色"},
				{quotes, "如果沒有的話，米白色也可以"},
				{says, "可以寄到高雄的便利商店嗎？"},
				{sticks, "🙏"},
			},
			answers: []string{"太好了，謝謝！", "那我現在下單", "請問運費多少？"},
		},
		{
			name: "王小明", username: "", language: "zh-hans",
			steps: []step{
				{says, "你好，订单 {order} 什么时候发货？"},
				{says, "上周五就付款了"},
				{speaks, ""},
				{corrects, "上周四就付款了"},
				{shares, "+8613800138000"},
			},
			answers: []string{"好的，谢谢", "那我再等两天", "麻烦发货后告诉我单号"},
		},
		{
			name: "Trần Quốc Bảo", username: "quocbao", language: "vi",
			steps: []step{
				{says, "Chào shop, đơn {order} của mình giao thiếu một đôi tất"},
				{showsMany, "Trong hộp chỉ có thế này thôi"},
				{quotes, "Mình đặt 3 đôi mà"},
				{likes, "👍"},
			},
			answers: []string{"Ok shop, mình cảm ơn", "Shop gửi bù giúp mình nhé", "Được rồi, không sao đâu 😄"},
		},
		{
			name: "Marcus Reid", username: "marcus_reid", language: "en",
			steps: []step{
				{says, "Hello, the tracking of order {order} hasn't moved since Tuesday"},
				{speaks, ""},
				{says, "Could somebody check with the courier please?"},
				{points, ""},
				{quotes, "They can leave it at this door if nobody answers"},
			},
			answers: []string{"Great, thanks for checking", "OK, I'll wait until tomorrow then", "Brilliant, it just arrived!"},
		},
		{
			name: "Дмитрий Орлов", username: "d_orlov", language: "ru",
			steps: []step{
				{says, "Добрый день! Шьёте ли вы на заказ?"},
				{shows, "Хочу примерно такую куртку"},
				{says, "Рост 192, обычные размеры коротки 😅"},
				{shares, "+79161234567"},
			},
			answers: []string{"Отлично, а сколько это займёт?", "Договорились!", "Спасибо, буду ждать"},
		},
		{
			name: "Priya Nair", username: "priya_n", language: "en", link: "wholesale",
			steps: []step{
				{asks, "@{bot} good morning, could we have the autumn price list?"},
				{asks, "We'd take forty scarves if the green ones are in"},
				{says, "Hi, I also wrote in the wholesale group, is a sample possible?"},
				{attaches, "order-{order}.pdf"},
			},
			answers: []string{"Lovely, I'll confirm today", "Thanks, that works for us", "Please send the invoice to the same address"},
		},
		{
			name: "陳志豪", username: "zhihao_chen", language: "zh-hant",
			steps: []step{
				{says, "訂單 {order} 收到了，但是拉鍊壞了"},
				{showsMany, "你看，這裡拉不上"},
				{corrects, "訂單 {order} 今天收到了，但是拉鍊壞了"},
				{asks, "@{bot} 門市可以換貨嗎？"},
				{likes, "🙏"},
			},
			answers: []string{"了解，謝謝你的幫忙", "那我週末拿去門市", "不好意思，麻煩你了"},
		},
	}
}
